import EventLoops
import Redis

/// Reads from Redis what a record names, each key by its own route. It never walks the keyspace.
final class RecordReader {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    private static let budgetUs: Int64 = 10_000_000
    private static let page = 1000
    private static let pauseUs: Int64 = 200_000

    private let loop: EventLoop
    private let redis: RedisClient
    private let record: RunRecord

    init(loop: EventLoop, redis: RedisClient, record: RunRecord) {
        self.loop = loop
        self.redis = redis
        self.record = record
    }

    /// Waits until jobs and lapsed holds have come to rest, at most that long, and judges what is there then.
    func judge(settleUs: Int64) async throws -> [Law] {
        guard await redis.whenReady(timeoutUs: RecordReader.budgetUs) else {
            throw Failure(description: "Redis cannot be reached")
        }
        let endUs = MonotonicClock.nowUs() + settleUs
        while true {
            let states = try await jobs()
            let queues = try await queues()
            let stocks = try await stocks()
            let rests = atRest(states) && atRest(queues) && atRest(stocks)
            if rests || MonotonicClock.nowUs() >= endUs {
                return [LimitLaw.judge(record)] + JobLaws.judge(record, states: states, queues: queues)
                    + StockLaws.judge(record, stocks: stocks)
            }
            await loop.sleep(us: RecordReader.pauseUs)
        }
    }

    private func atRest(_ states: [String: JobLaws.State]) -> Bool {
        states.values.allSatisfy { $0.word == "completed" }
    }

    private func atRest(_ queues: [String: JobLaws.Queue]) -> Bool {
        queues.values.allSatisfy { $0.ended.values.reduce(0, +) >= $0.made }
    }

    /// A hold that was to lapse has.
    private func atRest(_ stocks: [String: StockLaws.Stock]) -> Bool {
        record.holds.allSatisfy { hold in
            guard hold.expires, let now = stocks[hold.sku]?.told[String(hold.id.suffix(20))] else { return true }
            return now.status != "active"
        }
    }

    // MARK: Jobs

    private func base(_ queue: String) -> String { "\(record.head.prefix)jobs:{\(queue)}:" }

    private func jobs() async throws -> [String: JobLaws.State] {
        let accepted = record.jobs.filter { $0.fate == .accepted }
        let found = try await together(accepted) { [self] job -> JobLaws.State? in
            let number = job.id.suffix(12)
            let key = base(job.queue) + "job:\(number)"
            guard let fields = try await send(["HMGET", key, "state", "type"], key).elements, fields.count == 2,
                fields[1].string != nil
            else { return nil }
            let history = base(job.queue) + "history:\(number)"
            let lines = try await send(["LRANGE", history, "0", "-1"], history).strings ?? []
            return JobLaws.State(word: word(fields[0].string ?? "pending"), history: lines.map { word($0) })
        }
        var states: [String: JobLaws.State] = [:]
        for (job, state) in zip(accepted, found) { states[job.id] = state }
        return states
    }

    private func word(_ line: String) -> String { String(line.prefix { $0 != " " }) }

    private func queues() async throws -> [String: JobLaws.Queue] {
        var queues: [String: JobLaws.Queue] = [:]
        for name in record.queues {
            var queue = JobLaws.Queue()
            queue.made = try await send(["GET", base(name) + "sequence"], base(name)).int ?? 0
            let totals = try await map(base(name) + "totals")
            for (outcome, count) in totals where RecordReader.outcomes.contains(outcome) {
                queue.ended[outcome] = Int(count)
            }
            queue.kept = try await send(["ZCARD", base(name) + "ended"], base(name)).int ?? 0
            queues[name] = queue
        }
        return queues
    }

    private static let outcomes: Set<String> = ["completed", "failed", "timeout", "dead", "cancelled", "skipped"]

    // MARK: Stock

    private func key(_ word: String, _ sku: String) -> String { "\(record.head.prefix)\(word):{\(sku)}" }

    private func stocks() async throws -> [String: StockLaws.Stock] {
        var stocks: [String: StockLaws.Stock] = [:]
        for product in record.products {
            // Counters, holds and ledger of one moment: every change counts the version up.
            for _ in 0..<20 {
                let before = try await map(key("stock", product.sku))
                stocks[product.sku] = try await stock(product.sku, before)
                if try await map(key("stock", product.sku))["version"] == before["version"] { break }
            }
        }
        return stocks
    }

    private func stock(_ sku: String, _ counters: [String: String]) async throws -> StockLaws.Stock {
        var stock = StockLaws.Stock()
        stock.counters.quantity = counters[RunRecord.warehouse + ":quantity"].flatMap { Int($0) } ?? 0
        stock.counters.reserved = counters[RunRecord.warehouse + ":reserved"].flatMap { Int($0) } ?? 0
        let expiry = key("expiry", sku)
        let open = try await send(["ZRANGE", expiry, "0", "-1"], expiry).strings ?? []
        for (id, hold) in zip(open, try await together(open, { [self] in try await hold(sku, $0) })) {
            stock.open[id] = hold
        }
        let told = record.holds.filter { $0.sku == sku && !$0.id.isEmpty }.map { String($0.id.suffix(20)) }
        for (id, hold) in zip(told, try await together(told, { [self] in try await hold(sku, $0) })) {
            stock.told[id] = hold
        }
        stock.ledger = try await ledger(sku)
        return stock
    }

    private func hold(_ sku: String, _ id: String) async throws -> StockLaws.Hold? {
        let fields = try await map(key("reservation", sku) + ":" + id)
        guard let status = fields["status"] else { return nil }
        // `warehouse-1:3 warehouse-2:1`.
        let parts = (fields["allocation"] ?? "").split(separator: " ")
        let quantity = parts.reduce(0) {
            $0 + (Int($1[$1.index(after: $1.lastIndex(of: ":") ?? $1.startIndex)...]) ?? 0)
        }
        return StockLaws.Hold(status: status, quantity: quantity)
    }

    private func ledger(_ sku: String) async throws -> [StockLaws.Entry] {
        let key = key("ledger", sku)
        var entries: [StockLaws.Entry] = []
        var start = "-"
        while true {
            let reply = try await send(["XRANGE", key, start, "+", "COUNT", String(RecordReader.page)], key)
            let page = reply.elements ?? []
            for element in page {
                guard let parts = element.elements, let id = parts.first?.string, let words = parts.last?.strings
                else { throw Failure(description: "\(key) holds what is no entry") }
                start = "(" + id
                let fields = RecordReader.fields(words)
                let change = (fields["change"] ?? "").split(separator: ",").compactMap { Int($0) }
                // A checkpoint changes nothing.
                guard change.count == 3 else { continue }
                entries.append(
                    StockLaws.Entry(
                        type: fields["type"] ?? "", hold: fields["id"] ?? "", quantity: change[0], reserved: change[1]))
            }
            if page.count < RecordReader.page { return entries }
        }
    }

    // MARK: Asking

    private func map(_ key: String) async throws -> [String: String] {
        RecordReader.fields(try await send(["HGETALL", key], key).strings ?? [])
    }

    private static func fields(_ words: [String]) -> [String: String] {
        var fields: [String: String] = [:]
        for i in stride(from: 0, to: words.count - 1, by: 2) { fields[words[i]] = words[i + 1] }
        return fields
    }

    private func send(_ words: [String], _ key: String) async throws(RedisError) -> RedisReply {
        try await redis.send(words, key: key, budgetUs: RecordReader.budgetUs)
    }

    /// Asks for many at once, a few hundred at a time, and returns the answers in order.
    private func together<Item, Answer>(
        _ items: [Item], _ ask: @escaping (Item) async throws -> Answer
    ) async throws -> [Answer] {
        var answers: [Answer] = []
        for start in stride(from: 0, to: items.count, by: 256) {
            let page = Array(items[start..<min(start + 256, items.count)])
            let gathered = Gathered<Answer>(count: page.count)
            for (place, item) in page.enumerated() {
                loop.spawn {
                    do { gathered.put(.success(try await ask(item)), at: place) } catch {
                        gathered.put(.failure(error), at: place)
                    }
                }
            }
            await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
                gathered.whenComplete { continuation.resume() }
            }
            answers += try gathered.all()
        }
        return answers
    }
}

/// Answers that come in any order, on one loop.
private final class Gathered<Answer> {
    private var answers: [Result<Answer, any Error>?]
    private var left: Int
    private var then: (() -> Void)?

    init(count: Int) {
        answers = Array(repeating: nil, count: count)
        left = count
    }

    func put(_ answer: Result<Answer, any Error>, at place: Int) {
        answers[place] = answer
        left -= 1
        if left == 0 { then?() }
    }

    func whenComplete(_ then: @escaping () -> Void) {
        if left == 0 { then() } else { self.then = then }
    }

    func all() throws -> [Answer] { try answers.compactMap { try $0?.get() } }
}

extension RedisReply {
    fileprivate var elements: [RedisReply]? { if case .array(let elements) = self { elements } else { nil } }
}
