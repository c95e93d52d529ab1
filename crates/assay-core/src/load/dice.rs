//! Reproducible randomness: every value follows from the seed and the place where it is drawn.

use std::ops::RangeInclusive;

/// A stream of pseudo-random numbers (`SplitMix64`). Not for secrets: for mixes, words and test data.
#[derive(Debug, Clone)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The stream number `stream` of `seed`; streams are independent, so what one arrival draws never depends on
    /// what another one drew, nor on the order in which answers came.
    pub fn new(seed: u64, stream: u64) -> Self {
        let mut dice = Self { state: seed };
        dice.state = dice.number() ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03);
        dice.number();
        dice
    }

    /// The next number, uniform over all of `u64`.
    pub fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`; 0 when `bound` is 0. The bias is under `bound` / 2⁶⁴.
    pub fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.number()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or_default()
    }

    /// An index into a collection of `len` elements; `None` when it is empty.
    pub fn index(&mut self, len: usize) -> Option<usize> {
        let bound = u64::try_from(len).ok().filter(|bound| *bound > 0)?;
        usize::try_from(self.below(bound)).ok()
    }

    /// A number in the range, both ends included; the start when the range is empty.
    pub fn within(&mut self, range: RangeInclusive<i64>) -> i64 {
        let width = i128::from(*range.end()) - i128::from(*range.start()) + 1;
        let width = u64::try_from(width).unwrap_or(if width < 0 { 0 } else { u64::MAX });
        range.start().wrapping_add_unsigned(self.below(width))
    }

    /// An exponentially distributed number with a mean of 1, in units of 2⁻³²: the time until the next of many
    /// independent events. By von Neumann's method, which compares and never computes a logarithm, so every machine
    /// draws the same.
    pub fn exponential(&mut self) -> u64 {
        let mut whole = 0_u64;
        loop {
            let first = self.number();
            let (mut last, mut falling) = (first, 1_u32);
            loop {
                let next = self.number();
                if next >= last {
                    break;
                }
                (last, falling) = (next, falling + 1);
            }
            if falling % 2 == 1 {
                return (whole << 32) | (first >> 32);
            }
            whole += 1;
        }
    }

    /// Sixteen bytes, as for a version-4 UUID, in its usual text form.
    pub fn uuid(&mut self) -> String {
        let (high, low) = (self.number(), self.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0x0fff,
            0x8000 | (low >> 48) & 0x3fff,
            low & 0xffff_ffff_ffff,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, stream| {
            let mut dice = Dice::new(seed, stream);
            [dice.number(), dice.number(), dice.number()]
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn ranges_hold_and_are_covered() {
        let mut dice = Dice::new(1, 0);
        let mut seen = [0_u32; 6];
        for _ in 0..6_000 {
            let n = dice.within(-2..=3);
            seen[usize::try_from(n + 2).unwrap()] += 1;
        }
        assert!(seen.iter().all(|n| (800..1_200).contains(n)), "{seen:?}");
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.index(0), None);
        assert_eq!(dice.within(5..=5), 5);
        dice.within(i64::MIN..=i64::MAX);
    }

    #[test]
    fn exponential_numbers_have_the_right_mean_and_variance() {
        let mut dice = Dice::new(3, 0);
        let drawn: Vec<f64> = (0..100_000)
            .map(|_| dice.exponential() as f64 / 2_f64.powi(32))
            .collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(
            (mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.05,
            "{mean} {variance}"
        );
    }

    #[test]
    fn uuids_are_version_4() {
        let uuid = Dice::new(1, 2).uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!(matches!(&uuid[19..20], "8" | "9" | "a" | "b"), "{uuid}");
    }
}
