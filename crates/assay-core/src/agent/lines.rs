//! Lines out of a stream of bytes, one at a time.

/// Cuts a stream of bytes into lines and never holds more than one of them.
#[derive(Debug)]
pub struct LineBuffer {
    partial: Vec<u8>,
    max_bytes: usize,
    overlong: bool,
}

/// A line was longer than its buffer; it is dropped as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a line is longer than {max_bytes} bytes")]
pub struct OverlongLine {
    /// The most that was allowed, newline excluded.
    pub max_bytes: usize,
}

impl LineBuffer {
    /// An empty buffer for lines of at most `max_bytes`, newline excluded.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            partial: Vec::new(),
            max_bytes,
            overlong: false,
        }
    }

    /// Takes the next bytes and calls `each` for every line that they complete, without its newline.
    pub fn push(&mut self, mut bytes: &[u8], mut each: impl FnMut(Result<&[u8], OverlongLine>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            bytes = &bytes[end + 1..];
            if std::mem::take(&mut self.overlong) {
                each(Err(OverlongLine {
                    max_bytes: self.max_bytes,
                }));
            } else {
                each(Ok(&self.partial));
            }
            self.partial.clear();
        }
        self.keep(bytes);
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.overlong || self.partial.len() + bytes.len() > self.max_bytes {
            self.overlong = true;
            self.partial = Vec::new();
        } else {
            self.partial.extend_from_slice(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(max_bytes: usize, chunks: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut buffer = LineBuffer::new(max_bytes);
        let mut lines = Vec::new();
        for chunk in chunks {
            buffer.push(chunk, |line| lines.push(line.ok().map(<[u8]>::to_vec)));
        }
        lines
    }

    #[test]
    fn an_overlong_line_is_dropped_and_the_next_one_is_read() {
        assert_eq!(
            lines(3, &[b"abc\nab", b"cd", b"efg\n\nx\ny"]),
            [Some(b"abc".to_vec()), None, Some(vec![]), Some(b"x".to_vec())]
        );
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_the_bytes_arrive(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..64),
            size in 1usize..9,
        ) {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            prop_assert_eq!(lines(5, &chunks), lines(5, &[&bytes]));
        }
    }
}
