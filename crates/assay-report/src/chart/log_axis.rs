//! A logarithmic axis of times.

use crate::number;

/// Maps microseconds to pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogAxis {
    low: f64,
    high: f64,
    from_px: f64,
    to_px: f64,
}

/// A labelled place on an axis.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    /// Where.
    pub(super) at: String,
    /// What it stands for.
    pub(super) label: String,
}

impl LogAxis {
    /// An axis that shows these times, and at least half a decade.
    pub(super) fn over(times_us: impl Iterator<Item = u64>, from_px: f64, to_px: f64) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for us in times_us.filter(|us| *us > 0) {
            let log = (us as f64).log10();
            (low, high) = (low.min(log), high.max(log));
        }
        if !low.is_finite() {
            (low, high) = (3.0, 4.0);
        }
        if high - low < 0.5 {
            (low, high) = (low - 0.25, high + 0.25);
        }
        Self {
            low,
            high,
            from_px,
            to_px,
        }
    }

    /// Where a time is drawn; what is beyond an end is drawn at that end.
    pub(super) fn place(&self, us: u64) -> f64 {
        self.place_log((us.max(1) as f64).log10())
    }

    fn place_log(&self, log: f64) -> f64 {
        let share = ((log - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        self.from_px + share * (self.to_px - self.from_px)
    }

    /// Labels at 1, 2 and 5 of each decade; only at 1 when there are many.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        let steps: &[f64] = if self.high - self.low > 2.5 {
            &[1.0]
        } else {
            &[1.0, 2.0, 5.0]
        };
        let decades = self.low.floor() as i32..=self.high.ceil() as i32;
        decades
            .flat_map(|decade| steps.iter().map(move |step| step * 10f64.powi(decade)))
            .filter(|us| (self.low - 1e-9..=self.high + 1e-9).contains(&us.log10()))
            .map(|us| Tick {
                at: super::px(self.place_log(us.log10())),
                label: label(us),
            })
            .collect()
    }
}

fn label(us: f64) -> String {
    match us {
        us if us >= 1e6 => format!("{} s", number::plain(us / 1e6)),
        us => format!("{} ms", number::plain(us / 1e3)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let axis = LogAxis::over([900, 2_600_000].into_iter(), 0.0, 100.0);
        let labels: Vec<String> = axis.ticks().into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["1 ms", "10 ms", "100 ms", "1 s"]);
    }

    #[test]
    fn extremes_stay_on_the_axis() {
        for times in [vec![], vec![0], vec![u64::MAX], vec![1, u64::MAX]] {
            let axis = LogAxis::over(times.iter().copied(), 10.0, 20.0);
            for us in [0, 1, 1_000, u64::MAX] {
                assert!((10.0..=20.0).contains(&axis.place(us)), "{times:?} {us}");
            }
        }
    }
}
