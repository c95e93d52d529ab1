//! The log-normal curve of web performance scoring: 0.9 at `p10`, 0.5 at `median`.

/// Share of the points for a value, from 1 (value 0) falling towards 0.
///
/// `score = (1 − erf(x)) / 2` with `x = ln(value / median) · 0.9061938… / −ln(p10 / median)`, as Lighthouse computes it.
/// Needs `0 < p10 < median`; anything else gives 0.
pub(super) fn log_normal(value: f64, p10: f64, median: f64) -> f64 {
    let in_order = 0.0 < p10 && p10 < median && median.is_finite();
    if !in_order || value.is_nan() {
        return 0.0;
    }
    if value <= 0.0 {
        return 1.0;
    }
    // The inverse of the complementary error function at 0.2: puts 0.9 at p10.
    const INVERSE_ERFC_OF_ONE_FIFTH: f64 = 0.906_193_802_436_823_2;
    let x = (value / median).ln() * INVERSE_ERFC_OF_ONE_FIFTH / -(p10 / median).ln();
    ((1.0 - erf(x)) / 2.0).clamp(0.0, 1.0)
}

/// The error function by Abramowitz and Stegun, formula 7.1.26; absolute error at most 1.5e-7.
fn erf(x: f64) -> f64 {
    const A: [f64; 5] = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    const P: f64 = 0.327_591_1;
    let t = 1.0 / (1.0 + P * x.abs());
    let polynomial = A.iter().rev().fold(0.0, |sum, a| (sum + a) * t);
    x.signum() * (1.0 - polynomial * (-x * x).exp())
}

#[cfg(test)]
mod tests {
    use super::log_normal;

    #[test]
    fn control_points_hold() {
        for (value, expected) in [(0.0, 1.0), (60.0, 0.9), (200.0, 0.5)] {
            let share = log_normal(value, 60.0, 200.0);
            assert!((share - expected).abs() < 1e-6, "{value} gives {share}");
        }
        assert!(log_normal(5_000.0, 60.0, 200.0) < 0.001);
        assert!(log_normal(5.0, 60.0, 200.0) > 0.999);
        assert_eq!(log_normal(f64::NAN, 60.0, 200.0), 0.0);
        assert_eq!(log_normal(10.0, 200.0, 60.0), 0.0);
    }

    proptest::proptest! {
        #[test]
        fn falls_and_stays_in_range(a in 0.0..1e6_f64, b in 0.0..1e6_f64) {
            let (low, high) = if a < b { (a, b) } else { (b, a) };
            let (first, second) = (log_normal(low, 50.0, 200.0), log_normal(high, 50.0, 200.0));
            proptest::prop_assert!((0.0..=1.0).contains(&first) && second <= first + 1e-6);
        }
    }
}
