import Bytes
import JobScheduling
import Testing
import TimeZones

/// When schedules run. `deploy/cron-compare` compares thousands of others with cronsim.
struct CronRunsTests {
    struct Vector: CustomTestStringConvertible {
        let schedule: String
        let zone: String
        let from: String
        let runs: [String]

        init(_ schedule: String, _ zone: String = "UTC", from: String, _ runs: String...) {
            self.schedule = schedule
            self.zone = zone
            self.from = from
            self.runs = runs
        }

        var testDescription: String { "\(schedule) in \(zone) from \(from)" }
    }

    private func check(_ vector: Vector) throws {
        let from = try #require(vector.from.withByteView { Timestamp(rfc3339: $0) })
        let zone = try #require(Zone(identifier: vector.zone))
        let runs = CronPreview.runs(
            try Schedule(vector.schedule), in: zone, fromMs: Int(from.us / 1000), count: vector.runs.count)
        #expect(runs == vector.runs)
    }

    @Test(arguments: [
        Vector(
            "*/5 * * * *", from: "2024-01-25T04:46:00Z", "2024-01-25T04:50:00+00:00", "2024-01-25T04:55:00+00:00",
            "2024-01-25T05:00:00+00:00"),
        // Either day, since both are restricted.
        Vector(
            "0 12 13 * FRI", from: "2024-09-01T00:00:00Z", "2024-09-06T12:00:00+00:00", "2024-09-13T12:00:00+00:00",
            "2024-09-20T12:00:00+00:00"),
        // Both days, since one begins with a star.
        Vector(
            "0 12 */2 * FRI", from: "2024-09-01T00:00:00Z", "2024-09-13T12:00:00+00:00", "2024-09-27T12:00:00+00:00"),
        Vector("0 12 13 * */5", from: "2024-09-01T00:00:00Z", "2024-09-13T12:00:00+00:00", "2024-10-13T12:00:00+00:00"),
        Vector(
            "0 0 1,*/10 * 1", from: "2024-09-01T00:00:00Z", "2024-09-02T00:00:00+00:00", "2024-09-09T00:00:00+00:00"),
        Vector(
            "0 0 L * *", from: "2024-01-31T00:00:00Z", "2024-02-29T00:00:00+00:00", "2024-03-31T00:00:00+00:00",
            "2024-04-30T00:00:00+00:00"),
        // The months' last days are a Sunday, a Tuesday, a Friday, a Sunday, a Wednesday, a Saturday.
        Vector(
            "0 0 LW * *", from: "2024-03-01T00:00:00Z", "2024-03-29T00:00:00+00:00", "2024-04-30T00:00:00+00:00",
            "2024-05-31T00:00:00+00:00", "2024-06-28T00:00:00+00:00", "2024-07-31T00:00:00+00:00",
            "2024-08-30T00:00:00+00:00"),
        Vector("0 9 * * MON#2", from: "2024-01-01T00:00:00Z", "2024-01-08T09:00:00+00:00", "2024-02-12T09:00:00+00:00"),
        Vector("0 9 * * mon#5", from: "2024-01-01T00:00:00Z", "2024-01-29T09:00:00+00:00", "2024-04-29T09:00:00+00:00"),
        Vector("0 9 * * 5L", from: "2024-01-01T00:00:00Z", "2024-01-26T09:00:00+00:00", "2024-02-23T09:00:00+00:00"),
        Vector(
            "0 9 * * 7L,SUN#1", from: "2024-01-01T00:00:00Z", "2024-01-07T09:00:00+00:00", "2024-01-28T09:00:00+00:00"),
        Vector("0 0 29 2 *", from: "2096-03-01T00:00:00Z", "2104-02-29T00:00:00+00:00", "2108-02-29T00:00:00+00:00"),
        // A Monday that is the fifth of a February comes every 28 years, over 2100 after 40.
        Vector("0 0 * 2 MON#5", from: "2072-03-01T00:00:00Z", "2112-02-29T00:00:00+00:00"),
        Vector("59 23 31 12 *", from: "1999-12-31T23:59:00Z", "2000-12-31T23:59:00+00:00"),
        Vector("0 0 1 1 *", from: "1969-06-01T12:00:00Z", "1970-01-01T00:00:00+00:00"),
        // Strictly after, and to the millisecond.
        Vector("0 12 * * *", from: "2024-09-01T12:00:00Z", "2024-09-02T12:00:00+00:00"),
        Vector("0 12 * * *", from: "2024-09-01T11:59:59.999Z", "2024-09-01T12:00:00+00:00"),
        Vector("0 12 * * *", from: "2024-09-01T12:00:00.001Z", "2024-09-02T12:00:00+00:00"),
    ])
    func fieldsAndDays(_ vector: Vector) throws { try check(vector) }

    @Test(arguments: [
        // Skipped: once, right after the gap.
        Vector(
            "30 2 * * *", "America/New_York", from: "2024-03-10T00:00:00-05:00", "2024-03-10T03:00:00-04:00",
            "2024-03-11T02:30:00-04:00", "2024-03-12T02:30:00-04:00"),
        // Several skipped ones are one run, also with one whose time it is.
        Vector(
            "0,20,40 2,3 * * *", "America/New_York", from: "2024-03-10T00:00:00-05:00", "2024-03-10T03:00:00-04:00",
            "2024-03-10T03:20:00-04:00"),
        // Repeated: the first time only, also when asked for in the repetition.
        Vector(
            "30 1 * * *", "America/New_York", from: "2024-11-03T00:00:00-04:00", "2024-11-03T01:30:00-04:00",
            "2024-11-04T01:30:00-05:00"),
        Vector("30 1 * * *", "America/New_York", from: "2024-11-03T01:00:00-05:00", "2024-11-04T01:30:00-05:00"),
        Vector("30 1-2 * * *", "America/New_York", from: "2024-11-03T01:30:00-05:00", "2024-11-03T02:30:00-05:00"),
        // A midnight that is skipped.
        Vector(
            "0 0 * * *", "America/Sao_Paulo", from: "2018-11-03T12:00:00-03:00", "2018-11-04T01:00:00-02:00",
            "2018-11-05T00:00:00-02:00"),
        Vector(
            "@daily", "America/Sao_Paulo", from: "2018-02-17T12:00:00-02:00", "2018-02-18T00:00:00-03:00",
            "2018-02-19T00:00:00-03:00"),
        // Half an hour.
        Vector(
            "15 2 * * *", "Australia/Lord_Howe", from: "2024-10-05T12:00:00+10:30", "2024-10-06T02:30:00+11:00",
            "2024-10-07T02:15:00+11:00"),
        Vector(
            "45 1 * * *", "Australia/Lord_Howe", from: "2024-04-07T00:00:00+11:00", "2024-04-07T01:45:00+11:00",
            "2024-04-08T01:45:00+10:30"),
        // A day that was not: 30 December 2011.
        Vector(
            "0 12,18 * * *", "Pacific/Apia", from: "2011-12-29T12:00:00-10:00", "2011-12-29T18:00:00-10:00",
            "2011-12-31T00:00:00+14:00", "2011-12-31T12:00:00+14:00"),
        Vector(
            "0 0 30 12 *", "Pacific/Apia", from: "2011-12-01T00:00:00-10:00", "2011-12-31T00:00:00+14:00",
            "2012-12-30T00:00:00+14:00"),
        Vector(
            "0 0 * * *", "Pacific/Apia", from: "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00",
            "2012-01-01T00:00:00+14:00"),
    ])
    func fixedTimesRunOnceADay(_ vector: Vector) throws { try check(vector) }

    @Test(arguments: [
        Vector(
            "30 * * * *", "America/New_York", from: "2024-03-10T01:00:00-05:00", "2024-03-10T01:30:00-05:00",
            "2024-03-10T03:30:00-04:00"),
        Vector("*/30 2 * * *", "America/New_York", from: "2024-03-10T00:00:00-05:00", "2024-03-11T02:00:00-04:00"),
        Vector(
            "30 */1 * * *", "America/New_York", from: "2024-11-03T01:00:00-04:00", "2024-11-03T01:30:00-04:00",
            "2024-11-03T01:30:00-05:00", "2024-11-03T02:30:00-05:00"),
        Vector(
            "*/30 1 * * *", "America/New_York", from: "2024-11-03T01:00:00-04:00", "2024-11-03T01:30:00-04:00",
            "2024-11-03T01:00:00-05:00", "2024-11-03T01:30:00-05:00", "2024-11-04T01:00:00-05:00"),
        Vector("*/15 0 4 * *", "America/Sao_Paulo", from: "2018-11-01T00:00:00-03:00", "2018-12-04T00:00:00-02:00"),
        Vector(
            "*/30 * * * *", "Australia/Lord_Howe", from: "2024-10-06T01:00:00+10:30", "2024-10-06T01:30:00+10:30",
            "2024-10-06T02:30:00+11:00", "2024-10-06T03:00:00+11:00"),
        Vector(
            "*/15 1 * * *", "Australia/Lord_Howe", from: "2024-04-07T01:20:00+11:00", "2024-04-07T01:30:00+11:00",
            "2024-04-07T01:45:00+11:00", "2024-04-07T01:30:00+10:30", "2024-04-07T01:45:00+10:30",
            "2024-04-08T01:00:00+10:30"),
        Vector(
            "0 * * * *", "Australia/Lord_Howe", from: "2024-04-07T00:30:00+11:00", "2024-04-07T01:00:00+11:00",
            "2024-04-07T02:00:00+10:30"),
        Vector(
            "@hourly", "Pacific/Apia", from: "2011-12-29T22:30:00-10:00", "2011-12-29T23:00:00-10:00",
            "2011-12-31T00:00:00+14:00"),
        Vector("* 5 30 * *", "Pacific/Apia", from: "2011-12-01T00:00:00-10:00", "2012-01-30T05:00:00+14:00"),
    ])
    func starsFollowTheClock(_ vector: Vector) throws { try check(vector) }

    @Test(arguments: [
        Vector("@hourly", from: "2024-05-01T10:10:00Z", "2024-05-01T11:00:00+00:00"),
        Vector("@daily", from: "2024-05-01T10:10:00Z", "2024-05-02T00:00:00+00:00"),
        Vector("@midnight", from: "2024-05-01T10:10:00Z", "2024-05-02T00:00:00+00:00"),
        Vector("@weekly", from: "2024-05-01T10:10:00Z", "2024-05-05T00:00:00+00:00"),
        Vector("@monthly", from: "2024-05-01T10:10:00Z", "2024-06-01T00:00:00+00:00"),
        Vector("@Yearly", from: "2024-05-01T10:10:00Z", "2025-01-01T00:00:00+00:00"),
        Vector("@annually", "Asia/Kolkata", from: "2024-05-01T10:10:00Z", "2025-01-01T00:00:00+05:30"),
        // Whole multiples since the epoch, whatever the zone; 1500 ms divide a minute into 40.
        Vector("@every 7h", "Asia/Kolkata", from: "1970-01-01T00:00:00Z", "1970-01-01T12:30:00+05:30"),
        Vector("@every 1s", from: "2024-05-01T10:10:00.999Z", "2024-05-01T10:10:01+00:00", "2024-05-01T10:10:02+00:00"),
        Vector("@every 1500ms", from: "2024-05-01T10:10:00Z", "2024-05-01T10:10:01.500+00:00"),
        Vector("@every  1d", from: "1969-12-31T12:00:00Z", "1970-01-01T00:00:00+00:00"),
        // In Liberia the clock was 44 minutes and 30 seconds behind until 1972, which RFC 3339 cannot say.
        Vector("@every 1d", "Africa/Monrovia", from: "1971-05-01T00:00:00Z", "1971-05-01T23:15:00-00:45"),
    ])
    func nicknamesAndIntervals(_ vector: Vector) throws { try check(vector) }

    @Test func aTimeThatAZoneSkipsEveryYearIsNotFound() throws {
        let schedule = try Schedule("*/5 2 8-14 3 */7")
        let newYork = try #require(Zone(identifier: "America/New_York"))
        let phoenix = try #require(Zone(identifier: "America/Phoenix"))
        let from = 1_704_067_200_000
        #expect(schedule.next(afterMs: from, in: newYork) == nil)
        #expect(CronPreview.runs(schedule, in: phoenix, fromMs: from, count: 1) == ["2024-03-10T02:00:00-07:00"])
    }

    @Test func momentsBeyondTheCalendarHaveNoSlots() throws {
        let utc = try #require(Zone(identifier: "UTC"))
        for text in ["* * * * *", "0 0 * * *", "@every 1s"] {
            let schedule = try Schedule(text)
            #expect(schedule.next(afterMs: Int.max, in: utc) == nil)
            #expect(schedule.next(afterMs: 253_402_300_799_000, in: utc) == nil)
            let first = try #require(schedule.next(afterMs: Int.min, in: utc))
            #expect(first > -62_135_596_800_001 && first < -62_135_510_399_000)
        }
    }
}
