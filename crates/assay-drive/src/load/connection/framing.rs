//! Where an answer's head and body end, in bytes that may not all be there yet.

use std::mem::MaybeUninit;

use httparse::{Error, ParserConfig, Status};
use hyper::Method;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};

/// Most headers of an answer.
const MAX_HEADERS: usize = 100;

/// The head of an answer, as far as anybody needs it.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    /// Empty when nobody wanted them.
    pub(super) headers: HeaderMap,
    /// Whether the service goes on with the connection afterwards (RFC 9112 §9.3).
    pub(super) keeps_alive: bool,
    /// Of the body, if the answer has one.
    framing: Framing,
}

/// How the end of a body is known (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By the chunk of length 0.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

impl Head {
    /// The length in bytes, and the head.
    ///
    /// # Errors
    /// It is not the head of an HTTP/1.1 answer, or says two things of its length.
    pub(super) fn parse(bytes: &[u8], keep: bool) -> httparse::Result<(usize, Self)> {
        let mut headers = [const { MaybeUninit::uninit() }; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut []);
        let parsed =
            ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, &mut headers)?;
        let Status::Complete(length) = parsed else {
            return Ok(Status::Partial);
        };
        let is_1_1 = response.version == Some(1);
        let (mut content_length, mut coding) = (None, None);
        let mut keeps_alive = is_1_1;
        let mut kept = HeaderMap::new();
        for header in response.headers.iter() {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            if is("content-length") {
                for value in tokens(header.value) {
                    let value = number(value).ok_or(Error::HeaderValue)?;
                    if *content_length.get_or_insert(value) != value {
                        return Err(Error::HeaderValue);
                    }
                }
            } else if is("transfer-encoding") {
                coding = tokens(header.value).last().or(coding);
            } else if is("connection") {
                for value in tokens(header.value) {
                    if value.eq_ignore_ascii_case(b"close") {
                        keeps_alive = false;
                    } else if value.eq_ignore_ascii_case(b"keep-alive") && !is_1_1 {
                        keeps_alive = true;
                    }
                }
            }
            if keep {
                let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| Error::HeaderName)?;
                let value = HeaderValue::from_bytes(header.value).map_err(|_| Error::HeaderValue)?;
                kept.append(name, value);
            }
        }
        let framing = match (coding, content_length) {
            // Who says both may have been meant to smuggle something; the coding counts, and nothing comes after it.
            (Some(coding), length) => {
                keeps_alive &= length.is_none();
                if coding.eq_ignore_ascii_case(b"chunked") {
                    Framing::Chunked
                } else {
                    Framing::UntilClose
                }
            }
            (None, Some(length)) => Framing::Length(length),
            (None, None) => Framing::UntilClose,
        };
        let head = Self {
            status: response.code.ok_or(Error::Status)?,
            headers: kept,
            keeps_alive,
            framing,
        };
        Ok(Status::Complete((length, head)))
    }

    /// How the end of the body is known, in the answer to such a request.
    pub(super) fn framing(&self, method: &Method) -> Framing {
        match self.status {
            204 | 304 => Framing::Length(0),
            _ if method == Method::HEAD => Framing::Length(0),
            _ => self.framing,
        }
    }
}

/// The size of the next chunk.
pub(super) fn chunk_size(bytes: &[u8]) -> httparse::Result<(usize, u64)> {
    httparse::parse_chunk_size(bytes).map_err(|_| Error::Token)
}

/// What stands after the last chunk.
pub(super) fn trailer(bytes: &[u8]) -> httparse::Result<(usize, ())> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    Ok(match httparse::parse_headers(bytes, &mut headers)? {
        Status::Complete((length, _)) => Status::Complete((length, ())),
        Status::Partial => Status::Partial,
    })
}

/// What stands after each chunk.
pub(super) fn line_end(bytes: &[u8]) -> httparse::Result<(usize, ())> {
    match bytes {
        [b'\r', b'\n', ..] => Ok(Status::Complete((2, ()))),
        [] | [b'\r'] => Ok(Status::Partial),
        _ => Err(Error::NewLine),
    }
}

/// The elements of a list (RFC 9110 §5.6.1).
fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let parts = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty())
}

/// Digits alone: no sign, no space.
fn number(digits: &[u8]) -> Option<u64> {
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
