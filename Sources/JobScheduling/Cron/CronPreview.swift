import Bytes
import JSON
import Services
import TimeZones

/// Shows when a schedule would run.
public enum CronPreview {
    /// The most runs that one question is answered with.
    public static let maxCount = 1000

    /// The first `count` slots strictly after a moment, as RFC 3339 with the zone's offset
    /// (`2024-03-10T03:00:00-04:00`); fewer when there are no more.
    public static func runs(_ schedule: Schedule, in zone: Zone, fromMs: Int, count: Int) -> [String] {
        var runs: [String] = []
        var atMs = fromMs
        while runs.count < count, let slotMs = schedule.next(afterMs: atMs, in: zone) {
            runs.append(text(slotMs, in: zone))
            atMs = slotMs
        }
        return runs
    }

    /// Answers one line of NDJSON with one, without line ends.
    ///
    /// `{"expression": …, "timeZone": … ("UTC"), "from": RFC 3339, "count": 1 to 1000 (5)}` is answered by
    /// `{"runs": […]}`, or by `{"error": …, "field": …}` where a field is to blame.
    public static func answer(line: String) -> String {
        do throws(Problem) {
            return JSONValue.object([.init("runs", .array(try answer(parsing: line).map { .string($0) }))]).text()
        } catch {
            var members: [JSONValue.Member] = [.init("error", .string(error.detail))]
            if let field = error.field { members.append(.init("field", .string(field))) }
            return JSONValue.object(members).text()
        }
    }

    private static func answer(parsing line: String) throws(Problem) -> [String] {
        let request: JSONValue
        do { request = try line.withByteView { try JSONValue(parsing: $0) } } catch {
            throw Problem(.invalidRequest, "\(error)")
        }
        var fields = try Fields(request)
        let expression = try fields.string("expression").required("expression")
        let zoneName = try fields.string("timeZone", max: 64) ?? "UTC"
        let from = try fields.string("from", max: 64).required("from")
        let count = try fields.int("count", in: 1...maxCount) ?? 5
        try fields.finish()
        guard let zone = Zone(identifier: zoneName) else {
            throw .field("timeZone", "must be the name of a time zone, such as Europe/Berlin or UTC")
        }
        guard let start = from.withByteView({ Timestamp(rfc3339: $0) }) else {
            throw .field("from", "must be a time as RFC 3339 has it, such as 2024-03-10T03:00:00-04:00")
        }
        let schedule: Schedule
        do throws(CronError) { schedule = try Schedule(expression) } catch {
            throw .field("expression", "is refused: \(error)")
        }
        // Rounded down, microseconds are no reason to leave a slot out.
        return runs(schedule, in: zone, fromMs: Int(start.us).floored(by: 1000), count: count)
    }

    /// A moment as RFC 3339 with the zone's offset, milliseconds only where there are some.
    public static func text(_ ms: Int, in zone: Zone) -> String {
        // RFC 3339 has no seconds in offsets (Liberia had until 1972): the minute below is as true.
        let offsetMinutes = zone.offsetSeconds(at: ms.floored(by: 1000)).floored(by: 60)
        let local = Timestamp(us: Int64(ms + offsetMinutes * 60000) * 1000).rfc3339.dropLast()
        let east = abs(offsetMinutes)
        let digits = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
        return (local.hasSuffix(".000") ? local.dropLast(4) : local) + (offsetMinutes < 0 ? "-" : "+")
            + digits(east / 60) + ":" + digits(east % 60)
    }
}
