//! Who saw and did what, in a chain: each entry has the hash of the one before in its own. The end of the chain is signed, so
//! that it shows when the newest entries are cut off.

use assay_core::attestation::envelope;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::model::{AuditEntry, AuditRow, Page, PageRequest};
use crate::rows::{canonical, from_json, hex, limit, page, plain, to_json};
use crate::sql::{Tx, all, built, execute, optional};
use crate::{Store, StoreError};

/// The kind of what is signed about the end of the trail.
const END_TYPE: &str = "application/vnd.assay.audit-end+json";

/// The end of the trail.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct End {
    /// Number of the newest entry.
    seq: i64,
    /// Its hash.
    hash: String,
}

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
        let mut tx = self.write().await?;
        self.note(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Adds an entry to the trail, within a writing transaction.
    ///
    /// It goes on from the end that was signed. Were entries cut off, the gap stays; and the end is not signed again, nor is one
    /// that something else was added to: what was done behind our back is not made good by what comes after it.
    pub(crate) async fn note(&self, tx: &mut Tx, entry: &AuditEntry) -> Result<(), StoreError> {
        let actor: Value = from_json("actor", &to_json("actor", &entry.actor)?)?;
        let last = last(tx).await?;
        let signed = self.signed_end(tx).await?;
        let is_whole = match &signed {
            Some(signed) => *signed == last,
            None => last == End::default(),
        };
        let before = signed.filter(|signed| signed.seq > last.seq).unwrap_or(last);
        let mut row = Columns {
            seq: before.seq + 1,
            at_ms: entry.at_ms,
            actor: canonical(&actor),
            action: plain(&entry.action),
            subject: plain(&entry.subject),
            detail: canonical(&entry.detail),
            hash: String::new(),
        };
        row.hash = row.hash_after(&before.hash);
        execute!(
            &mut *tx,
            "INSERT INTO audit (seq, at_ms, actor, action, subject, detail, hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            row.seq,
            row.at_ms,
            &row.actor,
            &row.action,
            &row.subject,
            &row.detail,
            &row.hash,
        )?;
        if is_whole {
            let (seq, hash) = (row.seq, row.hash);
            self.sign_end(tx, &End { seq, hash }).await?;
        }
        Ok(())
    }

    /// Signs the end of a trail that was begun before ends were signed.
    pub(crate) async fn sign_trail(&self) -> Result<(), StoreError> {
        let mut tx = self.write().await?;
        let last = last(&mut tx).await?;
        if last != End::default() {
            self.sign_end(&mut tx, &last).await?;
        }
        tx.commit().await
    }

    async fn sign_end(&self, tx: &mut Tx, end: &End) -> Result<(), StoreError> {
        let Some(keys) = self.keys() else {
            return Ok(());
        };
        let payload = to_json("end of the audit trail", end)?.into_bytes();
        let envelope = envelope::seal(END_TYPE, payload, &keys.signing);
        execute!(
            tx,
            "INSERT INTO audit_head (id, envelope) VALUES (1, $1)
             ON CONFLICT (id) DO UPDATE SET envelope = excluded.envelope",
            envelope,
        )?;
        Ok(())
    }

    /// The end as it was signed. None: it never was, or not by a key of this installation.
    async fn signed_end(&self, tx: &mut Tx) -> Result<Option<End>, StoreError> {
        let Some(keys) = self.keys() else {
            return Ok(None);
        };
        let row: Option<(String,)> = optional!(tx, "SELECT envelope FROM audit_head")?;
        let opened = row.and_then(|(text,)| envelope::open(END_TYPE, text.as_bytes(), &keys.known).ok());
        Ok(opened.and_then(|opened| serde_json::from_slice(&opened.payload).ok()))
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

    /// Verifies the whole chain, and that it ends where it was signed to end. Answers how many entries it has. A store without
    /// keys cannot see that the newest ones were cut off.
    ///
    /// # Errors
    ///
    /// [`StoreError::AuditBroken`] when an entry was changed, added or taken out; [`StoreError::AuditUnsigned`] when the end is
    /// not signed by a key of this installation; or when the database fails.
    pub async fn verify_audit(&self) -> Result<u64, StoreError> {
        let mut tx = self.read().await?;
        let mut end = End::default();
        loop {
            let rows: Vec<Columns> = all!(
                &mut tx,
                "SELECT * FROM audit WHERE seq > $1 ORDER BY seq LIMIT $2",
                end.seq,
                BATCH
            )?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                end.seq += 1;
                if row.seq != end.seq || row.hash != row.hash_after(&end.hash) {
                    return Err(StoreError::AuditBroken { seq: end.seq });
                }
                end.hash = row.hash;
            }
        }
        if self.keys().is_some() {
            match self.signed_end(&mut tx).await? {
                Some(signed) if signed == end => (),
                Some(signed) => {
                    let seq = signed.seq.min(end.seq) + 1;
                    return Err(StoreError::AuditBroken { seq });
                }
                None if end == End::default() => (),
                None => return Err(StoreError::AuditUnsigned),
            }
        }
        Ok(end.seq.unsigned_abs())
    }
}

/// The newest entry; of a trail without any, nothing before the first.
async fn last(tx: &mut Tx) -> Result<End, StoreError> {
    let last: Option<(i64, String)> = optional!(tx, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?;
    Ok(last.map(|(seq, hash)| End { seq, hash }).unwrap_or_default())
}
