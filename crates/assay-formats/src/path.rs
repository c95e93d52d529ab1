//! Paths in reports: absolute, relative, as URIs; only those within the tree are kept.

/// The path relative to the tree, or none when it lies outside, climbs out or is no path.
///
/// Takes `file:///src/a.py`, `/src/a.py`, `./a.py` and `a.py`; `roots` are where the tree lay when the tool ran.
pub fn relative(path: &str, roots: &[&str]) -> Option<String> {
    let path = path.strip_prefix("file://").unwrap_or(path);
    if path.len() > 1024 || path.contains(['\0', '\n', '\\']) || path.contains("://") {
        return None;
    }
    let decoded = decode(path)?;
    let inside = roots.iter().find_map(|root| {
        let rest = decoded.strip_prefix(root.trim_end_matches('/'))?;
        rest.strip_prefix('/').or((rest.is_empty()).then_some(""))
    });
    let path = match inside {
        Some(rest) => rest,
        None if decoded.starts_with('/') => return None,
        None => &decoded,
    };
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    (!parts.is_empty() && !parts.contains(&"..")).then(|| parts.join("/"))
}

/// Percent-decoding; `None` when it does not give UTF-8.
fn decode(text: &str) -> Option<String> {
    if !text.contains('%') {
        return Some(text.to_owned());
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let hex = (bytes[i] == b'%').then(|| text.get(i + 1..i + 3)).flatten();
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                i += 3;
            }
            None => {
                out.push(bytes[i]);
                i += 1;
            }
        }
    }
    String::from_utf8(out).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::relative;

    #[test]
    fn paths_are_kept_inside() {
        let roots = ["/work", "/src"];
        for (path, expected) in [
            ("file:///src/app/db.py", Some("app/db.py")),
            ("/work/app/db.py", Some("app/db.py")),
            ("./app//db.py", Some("app/db.py")),
            ("app/a%20b.py", Some("app/a b.py")),
            ("100%.py", Some("100%.py")),
            ("/etc/shadow", None),
            ("file:///etc/shadow", None),
            ("../../etc/shadow", None),
            ("%2e%2e/x", None),
            ("/srcx/a", None),
            ("javascript:alert(1)", Some("javascript:alert(1)")),
            ("https://a/b", None),
            ("", None),
            ("/src", None),
        ] {
            assert_eq!(relative(path, &roots).as_deref(), expected, "{path}");
        }
    }
}
