//! The gateway's clock. Its times are claims; the ledger's block times are the ones that count.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// Milliseconds since 1970-01-01T00:00Z.
pub fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// RFC 3339 in China Standard Time, e.g. `2026-11-22T10:00:00.123+08:00`.
pub fn rfc3339(ms: u64) -> String {
    let time = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX);
    let local = time.to_zoned(TimeZone::fixed(Offset::constant(8)));
    local.strftime("%Y-%m-%dT%H:%M:%S%.3f+08:00").to_string()
}

/// The day in China, `YYYY-MM-DD`.
pub fn day_in_china(ms: u64) -> String {
    rfc3339(ms).chars().take(10).collect()
}

/// The time as the signed integer that documents use.
pub fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn china_standard_time() {
        assert_eq!(rfc3339(1_795_312_800_123), "2026-11-22T10:00:00.123+08:00");
        assert_eq!(day_in_china(1_795_312_800_123 + 14 * 3_600_000), "2026-11-23");
    }
}
