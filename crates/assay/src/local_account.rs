//! The account by which the command line on the daemon's own machine speaks to it: whoever may read the data folder is its
//! administrator anyway.

use anyhow::Context;
use assay_core::id::{TokenId, UserId};
use assay_server::auth::{Right, Secret, secret::sha256};
use assay_store::Store;
use assay_store::model::{Role, Token, TokenKind, User};

use crate::data_folder::DataFolder;

/// Nobody signs in by it: it has no password.
const LOGIN: &str = "local";

/// Sees to it that the token in the data folder opens the API, and says so when nobody else has an account yet.
pub(crate) async fn ensure(store: &Store, data: &DataFolder) -> anyhow::Result<()> {
    if !has_token(store, data).await? {
        let user = match store.user_by_login(LOGIN).await? {
            Some(user) => user.id,
            None => create(store).await?,
        };
        store
            .revoke_tokens_of(TokenKind::Api, user.as_str(), now_ms())
            .await?;
        let secret = Secret::draw(TokenKind::Api);
        let token = Token {
            id: TokenId::from_random(rand::random()),
            kind: TokenKind::Api,
            subject: user.as_str().to_owned(),
            name: "the command line on the daemon's machine".to_owned(),
            secret_sha256: sha256(secret.text()).context("a token was drawn that is none")?,
            scopes: Right::ALL.map(|right| right.name().to_owned()).into(),
            created_at_ms: now_ms(),
            expires_at_ms: None,
            revoked_at_ms: None,
            last_used_at_ms: None,
        };
        store.add_token(&token).await?;
        data.set_admin_token(secret.text())?;
    }
    if store.n_users().await? < 2 {
        tracing::warn!("nobody can sign in yet (hint: `assay user add NAME --role admin` makes an account)");
    }
    Ok(())
}

async fn has_token(store: &Store, data: &DataFolder) -> anyhow::Result<bool> {
    let Some(hash) = data.admin_token().and_then(|token| sha256(&token)) else {
        return Ok(false);
    };
    Ok(store.token(TokenKind::Api, &hash, now_ms()).await?.is_some())
}

async fn create(store: &Store) -> anyhow::Result<UserId> {
    let user = User {
        id: UserId::from_random(rand::random()),
        login: LOGIN.to_owned(),
        name: "Command line".to_owned(),
        password_hash: None,
        oidc_subject: None,
        role: Role::Admin,
        created_at_ms: now_ms(),
        disabled_at_ms: None,
    };
    store.create_user(&user).await?;
    Ok(user.id)
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(elapsed.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_token_is_made_once_and_again_when_it_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let data = DataFolder::open(dir.path()).unwrap();
        let database = format!("sqlite:{}", data.join("assay.db").display());
        let store = Store::open(&database, &data.join("blobs")).await.unwrap();
        store.migrate().await.unwrap();
        ensure(&store, &data).await.unwrap();
        let first = data.admin_token().unwrap();
        ensure(&store, &data).await.unwrap();
        assert_eq!(data.admin_token().unwrap(), first);

        data.set_admin_token("assay_lost").unwrap();
        ensure(&store, &data).await.unwrap();
        let second = data.admin_token().unwrap();
        assert_ne!(second, first);
        let open = async |text: &str| {
            let hash = sha256(text).unwrap();
            store.token(TokenKind::Api, &hash, now_ms()).await.unwrap()
        };
        assert_eq!(open(&first).await, None);
        assert_eq!(open(&second).await.unwrap().scopes.len(), Right::ALL.len());
        assert_eq!(store.n_users().await.unwrap(), 1);
    }
}
