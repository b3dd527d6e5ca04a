import JSON
import Services

/// What holds for all jobs of a type in a queue: limits, and promises (SLA). As text: `concurrency=5 rate=10/1000`.
struct TypeSettings: Equatable {
    /// How many run at once.
    var concurrency: Int?
    /// How many start in each window, aligned to the epoch.
    var rate: Rate?
    /// How long a job may wait for its start; it then is the type's deadline, whatever the priority says.
    var maxQueueMs: Int?
    var maxRunMs: Int?
    /// Percent of executions that are to succeed.
    var successRate: Double?
    /// Run by workers that are none of ours; their configs are theirs to check. nil when nobody has said.
    var isExternal: Bool?

    struct Rate: Equatable {
        var limit: Int
        var perMs: Int
    }

    init() {}

    init(text: String) {
        for part in text.split(separator: " ") {
            let words = part.split(separator: "=").map(String.init)
            guard words.count == 2 else { continue }
            switch words[0] {
            case "concurrency": concurrency = Int(words[1])
            case "rate":
                let numbers = words[1].split(separator: "/").compactMap { Int($0) }
                if numbers.count == 2 { rate = Rate(limit: numbers[0], perMs: numbers[1]) }
            case "queueMs": maxQueueMs = Int(words[1])
            case "runMs": maxRunMs = Int(words[1])
            case "success": successRate = Double(words[1])
            case "external": isExternal = words[1] == "1"
            default: continue
            }
        }
    }

    var text: String {
        var parts: [String] = []
        if let concurrency { parts.append("concurrency=\(concurrency)") }
        if let rate { parts.append("rate=\(rate.limit)/\(rate.perMs)") }
        if let maxQueueMs { parts.append("queueMs=\(maxQueueMs)") }
        if let maxRunMs { parts.append("runMs=\(maxRunMs)") }
        if let successRate { parts.append("success=\(successRate)") }
        if isExternal == true { parts.append("external=1") }
        return parts.joined(separator: " ")
    }

    /// Reads the body of a PUT: the settings, and where alerts go (empty: nowhere any more; nil: as it is).
    static func parse(_ body: JSONValue) throws(Problem) -> (TypeSettings, alertURL: String?) {
        var fields = try Fields(body)
        var settings = TypeSettings()
        fields.ignore("type", "queue")
        settings.concurrency = try fields.int("concurrency", in: 1...1_000_000)
        if var rate = try fields.object("rate") {
            settings.rate = Rate(
                limit: try rate.int("limit", in: 1...1_000_000).required(rate.name("limit")),
                perMs: try rate.durationMs("per", in: 100...86_400_000).required(rate.name("per")))
            try rate.finish()
        }
        settings.maxQueueMs = try fields.durationMs("maxQueueMs", in: 1...604_800_000)
        settings.maxRunMs = try fields.durationMs("maxRunMs", in: 1...604_800_000)
        switch fields.value("successRate") {
        case nil: break
        case .int(let percent)? where (0...100).contains(percent): settings.successRate = Double(percent)
        case .double(let percent)? where (0...100).contains(percent): settings.successRate = percent
        default: throw .field("successRate", "must be a number from 0 to 100")
        }
        settings.isExternal = try fields.bool("external")
        let alertURL: String?
        switch fields.value("alertURL") {
        case nil: alertURL = nil
        case .string(let url)? where url.utf8.count <= 2000: alertURL = url
        default: throw .field("alertURL", "must be a string of at most 2000 bytes")
        }
        try fields.finish()
        return (settings, alertURL)
    }

    func json(_ type: String, _ queue: QueueName) -> JSONValue {
        .object([.init("type", .string(type)), .init("queue", .string(queue.text))] + members)
    }

    private var members: [JSONValue.Member] {
        [
            .init("concurrency", concurrency.map { .int($0) } ?? .null),
            .init(
                "rate",
                rate.map { .object([.init("limit", .int($0.limit)), .init("per", .int($0.perMs))]) } ?? .null),
            .init("maxQueueMs", maxQueueMs.map { .int($0) } ?? .null),
            .init("maxRunMs", maxRunMs.map { .int($0) } ?? .null),
            .init("successRate", successRate.map { .double($0) } ?? .null),
            .init("external", .bool(isExternal ?? false)),
        ]
    }

    /// The promises beside what was kept of them.
    func report(_ type: String, _ counts: [String: Int], waiting: QueueFigures.OfType) -> JSONValue {
        let good = counts["succeeded"] ?? 0
        let all = good + (counts["failed"] ?? 0)
        let actual = all == 0 ? nil : Double(good * 1000 / all) / 10
        return .object(
            [.init("type", .string(type))] + members + [
                .init("executions", .int(all)), .init("actualSuccessRate", actual.map { .double($0) } ?? .null),
                .init("queueViolations", .int(counts["queue"] ?? 0)),
                .init("runViolations", .int(counts["run"] ?? 0)),
                .init("overdueNow", .int(waiting.overdue)),
                .init(
                    "isMet",
                    .bool(
                        counts["queue"] == nil && counts["run"] == nil && waiting.overdue == 0
                            && (successRate == nil || actual == nil || actual! >= successRate!))),
            ])
    }
}
