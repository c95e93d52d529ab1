//! DSSE envelopes: a payload, its kind, and a signature over both.

use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::agent::Base64;

/// Largest envelope that is read, in bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// A key that signs.
pub trait Signer {
    /// Its id, which is that of its public half.
    fn id(&self) -> &str;
    /// Signs a message.
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

/// A key that verifies.
pub trait PublicKey {
    /// Its id.
    fn id(&self) -> &str;
    /// Whether the signature is of this key and this message.
    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    payload: Base64,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: [Signature; 1],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    keyid: String,
    sig: Base64,
}

/// What was in an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The bytes that were signed.
    pub payload: Vec<u8>,
    /// Id of the key that signed them.
    pub key: String,
}

/// Signs a payload. Answers the envelope. There is one way to write it, so that no byte of it can be changed and nothing with it.
pub fn seal(payload_type: &str, payload: Vec<u8>, key: &dyn Signer) -> String {
    let signature = Signature {
        keyid: key.id().to_owned(),
        sig: Base64(key.sign(&pre_authentication_encoding(payload_type, &payload))),
    };
    let envelope = Envelope {
        payload: Base64(payload),
        payload_type: payload_type.to_owned(),
        signatures: [signature],
    };
    text(&envelope)
}

fn text(envelope: &Envelope) -> String {
    // Strings and lists always are JSON.
    serde_json::to_string(envelope).unwrap_or_default()
}

/// Opens an envelope with a payload of this kind.
///
/// # Errors
///
/// When it is none, is of another kind, has a signature of no known key, or was changed.
pub fn open<K: PublicKey>(payload_type: &str, envelope: &[u8], keys: &[K]) -> Result<Opened, Refusal> {
    let malformed = |detail: &str| Refusal::Malformed(detail.to_owned());
    if envelope.len() > MAX_BYTES {
        return Err(malformed("it is too large"));
    }
    let read: Envelope = serde_json::from_slice(envelope).map_err(|error| malformed(&error.to_string()))?;
    if text(&read).as_bytes() != envelope {
        return Err(malformed("it was written anew since it was signed"));
    }
    if read.payload_type != payload_type {
        return Err(malformed("its payload is of another kind"));
    }
    let [signature] = read.signatures;
    let key = keys.iter().find(|key| key.id() == signature.keyid);
    let key = key.ok_or_else(|| Refusal::OtherKey(shown(&signature.keyid)))?;
    let message = pre_authentication_encoding(payload_type, &read.payload.0);
    if !key.verifies(&message, &signature.sig.0) {
        return Err(Refusal::Changed(signature.keyid));
    }
    Ok(Opened {
        payload: read.payload.0,
        key: signature.keyid,
    })
}

/// What is signed, by version 1 of DSSE: the kind and the payload, each with its length before it.
fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut message = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    message.extend_from_slice(payload);
    message
}

/// An id out of foreign hands, for a message.
fn shown(id: &str) -> String {
    id.chars().filter(char::is_ascii_graphic).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_signed_is_as_the_specification_says() {
        let message = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(
            String::from_utf8(message).unwrap(),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }
}
