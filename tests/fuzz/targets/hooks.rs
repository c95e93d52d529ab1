//! A webhook: its headers, then an empty line, then its payload. The first byte says which forge's it is.

use assay_server::hooks::entry;

pub(crate) fn read(bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else {
        return;
    };
    let end = bytes.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((&b""[..], bytes), |end| (&bytes[..end], &bytes[end + 2..]));
    entry::hook(*which, &String::from_utf8_lossy(head), body);
}
