import JSON

/// The figures of a queue, as `figures.lua` reads them.
struct QueueFigures {
    struct OfType {
        var name: String
        var settings: TypeSettings
        var ready: Int
        var running: Int
        /// The deadline of the one that is to start first, ms since the epoch.
        var headMs: Int?
        /// How many wait longer than was promised.
        var overdue: Int
    }

    let queue: QueueName
    let nowMs: Int
    let pausedMs: Int?
    /// Jobs by set: delayed, waiting, schedules, idle, ended, dead.
    let sets: [(name: String, count: Int)]
    let totals: [(name: String, count: Int)]
    let types: [OfType]

    init?(_ queue: QueueName, _ words: [String]) {
        let names = ["delayed", "waiting", "scheduled", "idle", "ended", "dead"]
        guard words.count >= 9, let nowMs = Int(words[0]), let totalCount = Int(words[8]),
            words.count >= 9 + totalCount
        else { return nil }
        self.queue = queue
        self.nowMs = nowMs
        pausedMs = Int(words[1])
        sets = zip(names, words[2..<8]).map { ($0, Int($1) ?? 0) }
        totals = stride(from: 9, to: 9 + totalCount, by: 2).map { (words[$0], Int(words[$0 + 1]) ?? 0) }
            .sorted { $0.0 < $1.0 }
        types = stride(from: 9 + totalCount, to: words.count - 5, by: 6).map { at in
            OfType(
                name: words[at], settings: TypeSettings(text: words[at + 1]), ready: Int(words[at + 2]) ?? 0,
                running: Int(words[at + 3]) ?? 0, headMs: Int(words[at + 4]), overdue: Int(words[at + 5]) ?? 0)
        }.sorted { $0.name < $1.name }
    }

    var json: JSONValue {
        let ready = types.reduce(0) { $0 + $1.ready }
        let running = types.reduce(0) { $0 + $1.running }
        let members: [JSONValue.Member] =
            [
                .init("name", .string(queue.text)), .init("paused", .bool(pausedMs != nil)),
                .init("ready", .int(ready)), .init("running", .int(running)),
            ] + sets.map { .init($0.name, .int($0.count)) } + [
                .init("overdue", .int(types.reduce(0) { $0 + $1.overdue })),
                .init("totals", .object(totals.map { .init($0.name, .int($0.count)) })),
                .init("types", .array(types.map(QueueFigures.json))),
            ]
        return .object(members)
    }

    private static func json(_ type: OfType) -> JSONValue {
        .object([
            .init("type", .string(type.name)), .init("ready", .int(type.ready)), .init("running", .int(type.running)),
            .init("nextDeadline", JobRecord.time(type.headMs)), .init("overdue", .int(type.overdue)),
        ])
    }
}
