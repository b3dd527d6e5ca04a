import Bytes
import EventLoops
import HTTP
import JSON
import Services
import TimeZones

/// `/api/cron/preview`: when a schedule would run.
enum CronEndpoint {
    static func add(to routes: Routes) {
        routes.immediate(.get, "/api/cron/preview", role: .read) { exchange, _ in
            exchange.reply(200, json: .object([.init("runs", .array(try runs(exchange).map { .string($0) }))]))
        }
    }

    private static func runs(_ exchange: Exchange) throws(Problem) -> [String] {
        let text = try exchange.queryItem("expression").required("expression")
        let schedule: Schedule
        do { schedule = try Schedule(text) } catch { throw .impossible("expression", "is refused: \(error)") }
        let name = exchange.queryItem("timeZone") ?? "UTC"
        guard let zone = Zone(identifier: name) else {
            throw .impossible("timeZone", "is no time zone that is known: \(name)")
        }
        var fromMs = Int(WallClock.nowUs() / 1000)
        if let from = exchange.queryItem("from") {
            guard let moment = from.withByteView({ Timestamp(rfc3339: $0) }) else {
                throw .field("from", "must be a time such as 2026-01-31T09:00:00Z, with its offset")
            }
            fromMs = Int((Double(moment.us) / 1000).rounded(.down))
        }
        var count = 5
        if let text = exchange.queryItem("count") {
            guard let number = Int(text), (1...1000).contains(number) else {
                throw .field("count", "must be from 1 to 1000")
            }
            count = number
        }
        return CronPreview.runs(schedule, in: zone, fromMs: fromMs, count: count)
    }
}
