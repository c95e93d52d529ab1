//! Who saw and did what, in a chain: each entry has the hash of the one before in its own.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::{AuditEntry, AuditRow, Page, PageRequest};
use crate::rows::{canonical, from_json, hex, limit, page, plain, to_json};
use crate::sql::{all, built, execute, optional};
use crate::{Store, StoreError};

/// How many entries are read at once while the chain is verified.
const BATCH: i64 = 1_000;

#[derive(sqlx::FromRow)]
struct Columns {
    seq: i64,
    at_ms: i64,
    actor: String,
    action: String,
    subject: String,
    detail: String,
    hash: String,
}

impl Columns {
    /// The hash that the entry has after the one before it.
    fn hash_after(&self, before: &str) -> String {
        let value = json!({
            "seq": self.seq,
            "at_ms": self.at_ms,
            "actor": self.actor,
            "action": self.action,
            "subject": self.subject,
            "detail": self.detail,
        });
        hex(&Sha256::new()
            .chain_update(before)
            .chain_update(canonical(&value))
            .finalize())
    }
}

impl TryFrom<Columns> for AuditRow {
    type Error = StoreError;

    fn try_from(row: Columns) -> Result<Self, StoreError> {
        Ok(Self {
            seq: row.seq,
            entry: AuditEntry {
                at_ms: row.at_ms,
                actor: from_json("actor", &row.actor)?,
                action: row.action,
                subject: row.subject,
                detail: from_json("detail", &row.detail)?,
            },
            hash: row.hash,
        })
    }
}

impl Store {
    /// Adds an entry to the trail.
    ///
    /// # Errors
    ///
    /// When the database fails.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<(), StoreError> {
        let actor: Value = from_json("actor", &to_json("actor", &entry.actor)?)?;
        let mut tx = self.write().await?;
        let last: Option<(i64, String)> =
            optional!(&mut tx, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
        let (seq, before) = last.unwrap_or_default();
        let row = Columns {
            seq: seq + 1,
            at_ms: entry.at_ms,
            actor: canonical(&actor),
            action: plain(&entry.action),
            subject: plain(&entry.subject),
            detail: canonical(&entry.detail),
            hash: String::new(),
        };
        execute!(
            &mut tx,
            "INSERT INTO audit (seq, at_ms, actor, action, subject, detail, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            row.seq,
            row.at_ms,
            &row.actor,
            &row.action,
            &row.subject,
            &row.detail,
            row.hash_after(&before),
        )?;
        tx.commit().await
    }

    /// A part of the trail, or of what it says about one subject; newest first.
    ///
    /// # Errors
    ///
    /// When `page` is none of this list, or the database fails.
    pub async fn audit_rows(
        &self,
        subject: Option<&str>,
        request: &PageRequest,
    ) -> Result<Page<AuditRow>, StoreError> {
        let after = match &request.after {
            Some(place) => {
                let seq = place.parse::<i64>();
                Some(seq.map_err(|_| StoreError::Place(place.clone()))?)
            }
            None => None,
        };
        let n = limit(request);
        let mut tx = self.read().await?;
        let rows: Vec<Columns> = built!(&mut tx, |query| {
            query.push("SELECT * FROM audit WHERE TRUE");
            if let Some(subject) = subject {
                query.push(" AND subject = ").push_bind(plain(subject));
            }
            if let Some(seq) = after {
                query.push(" AND seq < ").push_bind(seq);
            }
            query.push(format!(" ORDER BY seq DESC LIMIT {}", n + 1));
        })?;
        let rows = rows
            .into_iter()
            .map(AuditRow::try_from)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(page(rows, n, |row| row.seq.to_string()))
    }

    /// Verifies the whole chain. Answers how many entries it has. That the newest ones were cut off does not show.
    ///
    /// # Errors
    ///
    /// [`StoreError::AuditBroken`] when an entry was changed, added or taken out; or when the database fails.
    pub async fn verify_audit(&self) -> Result<u64, StoreError> {
        let mut tx = self.read().await?;
        let (mut n, mut before) = (0_i64, String::new());
        loop {
            let rows: Vec<Columns> = all!(
                &mut tx,
                "SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
                n,
                BATCH
            )?;
            if rows.is_empty() {
                return Ok(n.unsigned_abs());
            }
            for row in rows {
                n += 1;
                if row.seq != n || row.hash != row.hash_after(&before) {
                    return Err(StoreError::AuditBroken { seq: n });
                }
                before = row.hash;
            }
        }
    }
}
