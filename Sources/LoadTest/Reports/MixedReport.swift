import Bytes
import JSON

/// What a mixed run measured and proved, as a table and as JSON.
struct MixedReport {
    struct Kind {
        var kind: RequestKind
        var sent = 0
        var ok = 0
        var refused = 0
        var retries = 0
        var unknown = 0
        var errors: [ErrorKind: Int] = [:]
        var latency: RunResult.Latency?
    }

    var run = ""
    var rate = 0
    var connections = 0
    var seed: UInt64 = 0
    var durability = "memory"
    var durationUs: Int64 = 0
    var sendDelayP99Us: Int64 = 0
    var kinds: [Kind] = []
    var faults: [FaultOutcome] = []
    /// nil: nobody looked at Redis.
    var laws: [Law]?
    var trends: [Trend] = []
    var unexpected: [String] = []
    var failure: String?

    /// Whether no request went wrong in a way that no fault explains, and every law holds.
    var isGood: Bool {
        failure == nil && kinds.allSatisfy { $0.errors[.server] == nil && $0.errors[.unexpected] == nil }
            && (laws ?? []).allSatisfy(\.holds) && trends.allSatisfy(\.isGood)
    }

    // MARK: Text

    var text: String {
        var text =
            "mixed run \(run): \(rate) requests/s over \(connections) connections for "
            + "\(Numbers.text(Double(durationUs) / 1_000_000, decimals: 1)) s, seed \(seed), durability \(durability)\n\n"
        text += Aligned.table(kindRows)
        if !faults.isEmpty {
            text += "\nTime to the first success after each fault, and the longest time without one, ms:\n\n"
            text += Aligned.table(faultRows)
        }
        if let laws { text += "\n" + Aligned.table(MixedReport.rows(laws)) + MixedReport.violations(laws) }
        if !trends.isEmpty { text += "\n" + Aligned.table(Trend.rows(trends)) }
        if laws == nil { text += "\nNo law was looked at.\n" }
        for line in unexpected { text += "note: \(line)\n" }
        text += "sent within \(sendDelayP99Us) µs of the intended time (p99)\n"
        if let failure { text += "FAILED: \(failure)\n" }
        return text
    }

    private var kindRows: [[String]] {
        let errors = ErrorKind.allCases.filter { error in kinds.contains { $0.errors[error] != nil } }
        let head =
            ["requests", "sent", "ok", "refused"] + errors.map(\.rawValue)
            + ["retries", "unknown", "p50 ms", "p99 ms", "p99.9 ms", "max ms"]
        return [head]
            + kinds.map { kind in
                let counts = [kind.sent, kind.ok, kind.refused] + errors.map { kind.errors[$0] ?? 0 }
                let latency = kind.latency.map { [$0.p50Us, $0.p99Us, $0.p999Us, $0.maxUs].map { Numbers.ms(us: $0) } }
                return [kind.kind.rawValue] + (counts + [kind.retries, kind.unknown]).map { Numbers.text(Double($0)) }
                    + (latency ?? ["–", "–", "–", "–"])
            }
    }

    private var faultRows: [[String]] {
        let shown = kinds.map(\.kind)
        func ms(_ us: Int64?) -> String { us.map { Numbers.ms(us: Double($0)) } ?? "never" }
        return [["fault", "at s", "took ms"] + shown.flatMap { [$0.rawValue, "gap"] }]
            + faults.map { fault in
                [
                    fault.entry.text, Numbers.text(Double(fault.beganUs) / 1_000_000, decimals: 1),
                    ms(fault.endedUs.map { $0 - fault.beganUs }),
                ] + shown.flatMap { [ms(fault.resumedAfterUs[$0]), ms(fault.longestGapUs[$0])] }
            }
    }

    static func rows(_ laws: [Law]) -> [[String]] {
        [["law", "of", "", "lost"]]
            + laws.map { law in
                [
                    law.name, law.about, law.holds ? "ok" : "VIOLATED \(law.violationCount)×",
                    law.lost == 0 ? "" : String(law.lost),
                ]
            }
    }

    static func violations(_ laws: [Law]) -> String {
        laws.flatMap { law in law.violations.map { "  \(law.name): \($0)\n" } }.joined()
    }

    // MARK: JSON

    func write(to buffer: ByteBuffer) {
        var json = JSONWriter(buffer)
        json.beginObject()
        json.field("run", run)
        json.field("isGood", isGood)
        json.field("rate", rate)
        json.field("connections", connections)
        json.field("seed", Int(truncatingIfNeeded: seed))
        json.field("durability", durability)
        json.field("durationUs", Int(durationUs))
        json.field("sendDelayP99Us", Int(sendDelayP99Us))
        json.beginArray("requests")
        for kind in kinds { MixedReport.write(kind, to: &json) }
        json.endArray()
        json.beginArray("faults")
        for fault in faults { MixedReport.write(fault, to: &json) }
        json.endArray()
        if let laws { MixedReport.write(laws, to: &json) }
        if !trends.isEmpty {
            json.beginArray("trends")
            for trend in trends { trend.write(to: &json) }
            json.endArray()
        }
        json.beginArray("notes")
        for line in unexpected { json.value(line) }
        json.endArray()
        if let failure { json.field("failure", failure) }
        json.endObject()
        buffer.append("\n")
    }

    private static func write(_ kind: Kind, to json: inout JSONWriter) {
        json.beginObject()
        json.field("kind", kind.kind.rawValue)
        for (name, count) in [
            ("sent", kind.sent), ("ok", kind.ok), ("refused", kind.refused), ("retries", kind.retries),
            ("unknown", kind.unknown),
        ] {
            json.key(escaping: name)
            json.value(count)
        }
        json.beginObject("errors")
        for (error, count) in kind.errors.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            json.key(escaping: error.rawValue)
            json.value(count)
        }
        json.endObject()
        if let latency = kind.latency {
            json.beginObject("latency")
            json.field("p50Us", latency.p50Us)
            json.field("p99Us", latency.p99Us)
            json.field("p999Us", latency.p999Us)
            json.field("maxUs", latency.maxUs)
            json.endObject()
        }
        json.endObject()
    }

    private static func write(_ fault: FaultOutcome, to json: inout JSONWriter) {
        json.beginObject()
        json.field("fault", fault.entry.text)
        json.field("beganUs", Int(fault.beganUs))
        if let endedUs = fault.endedUs { json.field("endedUs", Int(endedUs)) }
        json.beginObject("resumedAfterUs")
        for (kind, us) in fault.resumedAfterUs.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            json.key(escaping: kind.rawValue)
            json.value(Int(us))
        }
        json.endObject()
        json.beginObject("longestGapUs")
        for (kind, us) in fault.longestGapUs.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
            json.key(escaping: kind.rawValue)
            json.value(Int(us))
        }
        json.endObject()
        if let failure = fault.failure { json.field("failure", failure) }
        json.endObject()
    }

    static func write(_ laws: [Law], to json: inout JSONWriter) {
        json.beginArray("laws")
        for law in laws {
            json.beginObject()
            json.field("law", law.name)
            json.field("of", law.about)
            json.field("holds", law.holds)
            json.field("violationCount", law.violationCount)
            json.field("lost", law.lost)
            json.beginArray("violations")
            for violation in law.violations { json.value(violation) }
            json.endArray()
            json.endObject()
        }
        json.endArray()
    }
}

/// Rows under their heads as Markdown that reads well as it is: the first column to the left, the others to the right.
enum Aligned {
    static func table(_ rows: [[String]]) -> String {
        let columns = rows.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0 }
        var text = ""
        for (number, row) in rows.enumerated() {
            for column in 0..<columns {
                let cell = row.count > column ? row[column] : ""
                let padding = String(repeating: " ", count: widths[column] - cell.count)
                text += "| " + (column == 0 ? cell + padding : padding + cell) + " "
            }
            text += "|\n"
            guard number == 0 else { continue }
            for (column, width) in widths.enumerated() {
                let dashes = String(repeating: "-", count: width)
                text += column == 0 ? "|-\(dashes)-" : "|-\(dashes):"
            }
            text += "|\n"
        }
        return text
    }
}
