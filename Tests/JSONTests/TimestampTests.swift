import Bytes
import Glibc
import Testing

@Suite struct TimestampTests {
    private func parse(_ text: String) -> Int64? { text.withByteView { Timestamp(rfc3339: $0)?.us } }

    @Test(
        arguments: [
            ("1970-01-01T00:00:00Z", 0), ("2026-11-22T23:05:00.123Z", 1_795_388_700_123_000),
            ("2026-11-23T01:05:00.123+02:00", 1_795_388_700_123_000),
            ("2026-11-22T18:35:00.123-04:30", 1_795_388_700_123_000),
            ("2026-11-22t23:05:00.1234567z", 1_795_388_700_123_456),
            ("2026-11-22T23:05:00.000000999Z", 1_795_388_700_000_000),
            ("1969-12-31T23:59:59.999999Z", -1), ("2000-02-29T00:00:00Z", 951_782_400_000_000),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000_000), ("9999-12-31T23:59:59.999999Z", 253_402_300_799_999_999),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000_000), ("2017-01-01T01:59:60+02:00", 1_483_228_800_000_000),
            ("1970-01-01T00:00:00-00:00", 0),
        ] as [(String, Int64)])
    func reads(_ text: String, us: Int64) {
        #expect(parse(text) == us)
    }

    @Test(arguments: [
        "", "2026-11-22", "2026-11-22T23:05:00", "2026-11-22 23:05:00Z", "2026-11-22T23:05Z", "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z", "2026-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-11-31T00:00:00Z",
        "2026-11-00T00:00:00Z", "2026-11-22T24:00:00Z", "2026-11-22T23:60:00Z", "2026-11-22T23:05:61Z",
        "2026-11-22T23:05:60Z", "2026-11-22T23:05:00.Z", "2026-11-22T23:05:00.1234567890Z", "2026-11-22T23:05:00+0200",
        "2026-11-22T23:05:00+2:00", "2026-11-22T23:05:00+24:00", "2026-11-22T23:05:00+02:60", "2026-11-22T23:05:00ZZ",
        "2026-11-22T23:05:00Z ", " 2026-11-22T23:05:00Z", "26-11-22T23:05:00Z", "+026-11-22T23:05:00Z",
        "2026-11-22T23:05:-1Z", "2026/11/22T23:05:00Z", "2026-11-22T23:05:00 Z",
    ])
    func refuses(_ text: String) {
        #expect(parse(text) == nil)
    }

    @Test func writesTwentyFourBytes() {
        #expect(Timestamp(us: 1_795_388_700_123_999).rfc3339 == "2026-11-22T23:05:00.123Z")
        #expect(Timestamp(us: 0).rfc3339 == "1970-01-01T00:00:00.000Z")
        #expect(Timestamp(us: -1).rfc3339 == "1969-12-31T23:59:59.999Z")
        #expect(Timestamp(us: .max).rfc3339 == "9999-12-31T23:59:59.999Z")
        #expect(Timestamp(us: .min).rfc3339 == "0000-01-01T00:00:00.000Z")
    }

    /// Every day of eight centuries against the C library's calendar.
    @Test func agreesWithTheCalendarOfTheSystem() {
        for day in stride(from: -146_097, through: 146_097, by: 1) {
            var seconds = time_t(day * 86400 + 3661)
            var parts = tm()
            gmtime_r(&seconds, &parts)
            let date = CalendarDate(daysSinceEpoch: day)
            guard date.year == Int(parts.tm_year) + 1900, date.month == Int(parts.tm_mon) + 1,
                date.day == Int(parts.tm_mday),
                date.daysSinceEpoch == day
            else {
                Issue.record("day \(day): \(date)")
                return
            }
        }
        for us in stride(from: Int64(-3_000_000_000_000_000), through: 5_000_000_000_000_000, by: 1_234_567_891_000) {
            #expect(parse(Timestamp(us: us).rfc3339) == us - (us % 1000 + 1000) % 1000)
        }
    }
}
