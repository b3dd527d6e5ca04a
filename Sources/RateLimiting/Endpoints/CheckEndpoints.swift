import Bytes
import EventLoops
import HTTP
import JSON
import Services

/// `/api/rate-limits/check`, `/check/bulk`, `/status`: asking for decisions.
final class CheckEndpoints {
    static let mostChecks = 1000

    private let limiter: Limiter
    private let parser = CheckParser()

    init(limiter: Limiter) { self.limiter = limiter }

    func add(to routes: Routes) {
        routes.immediate(.post, "/api/rate-limits/check", role: .check) { [self] exchange, _ in
            try check(exchange)
        }
        routes.immediate(.post, "/api/rate-limits/check/bulk", role: .check) { [self] exchange, _ in
            try bulk(exchange)
        }
        routes.immediate(.get, "/api/rate-limits/status", role: .check) { [unowned self] exchange, _ in
            try status(exchange)
        }
    }

    private func check(_ exchange: Exchange) throws {
        try exchange.requireJSON()
        parser.begin()
        var reader = JSONReader(exchange.body)
        let request = try parser.parse(&reader)
        try reader.end()
        try limiter.demandAddress(of: request, field: "ip")
        let cost = parser.wantsReceipt ? request.cost : nil
        switch limiter.place(request) {
        case .decided(let decision): CheckEndpoints.reply(decision, cost, exchange)
        case .waiting(let batch, let index):
            batch.setReceiver({ decision, _ in CheckEndpoints.reply(decision, cost, exchange) }, ofRequest: index)
        case .spread(let check): check.setReceiver { decision, _ in CheckEndpoints.reply(decision, cost, exchange) }
        }
    }

    private static func reply(_ decision: Decision, _ cost: Int?, _ exchange: Exchange) {
        DecisionReply.send(decision, receipt: cost.flatMap { Receipt(decision, cost: $0)?.text }, to: exchange)
    }

    /// `{"checks":[…]}` or a bare array. All are read before any is decided, so that a bad one changes nothing.
    private func bulk(_ exchange: Exchange) throws {
        try exchange.requireJSON()
        parser.begin()
        var reader = JSONReader(exchange.body)
        var requests: [CheckRequest] = []
        requests.reserveCapacity(128)
        if try reader.peekKind == .array {
            try parseAll(&reader, into: &requests)
        } else {
            var keys = try reader.beginObject()
            while let key = try reader.nextKey(&keys) {
                guard key == "checks" else { throw Problem.field(key.string, "is not a field that is known here") }
                try parseAll(&reader, into: &requests)
            }
        }
        try reader.end()
        if requests.isEmpty { throw Problem.field("checks", "must have 1 to \(CheckEndpoints.mostChecks) elements") }
        for i in requests.indices { try limiter.demandAddress(of: requests[i], field: "checks[\(i)].ip") }
        decide(requests, BulkReply(exchange, count: requests.count))
    }

    /// How many rules are asked about at once for a list: beyond, the rest of the list waits for the loop's next turn.
    private static let mostRulesAtOnce = 4000

    /// Has a list decided: at once as a rule, so that its calls go together; in parts where many rules make that long.
    private func decide(_ requests: [CheckRequest], _ gathering: BulkReply) {
        let receive: CheckBatch.Receiver = { gathering.receive($0, at: $1) }
        var next = 0
        var rules = 0
        while next < requests.count, rules < CheckEndpoints.mostRulesAtOnce {
            limiter.decide(requests[next], tag: next, receive)
            rules += limiter.keys.count
            next += 1
        }
        if next == requests.count { return }
        // The parser's memory serves the next request; what follows later needs its own.
        let arena = ByteArena()
        let rest = requests[next...].map { $0.kept(in: arena) }
        limiter.context.loop.spawn { [limiter] in
            var slices = WorkSlices(limiter.context.loop)
            for (i, request) in rest.enumerated() {
                await slices.pauseIfLong()
                limiter.decide(request, tag: next + i, receive)
            }
            withExtendedLifetime(arena) {}
        }
    }

    private func parseAll(_ reader: inout JSONReader, into requests: inout [CheckRequest]) throws {
        try reader.beginArray()
        while try reader.nextElement() {
            if requests.count == CheckEndpoints.mostChecks {
                throw Problem.field("checks", "must have 1 to \(CheckEndpoints.mostChecks) elements")
            }
            let index = requests.count
            requests.append(try parser.parse(&reader, path: "checks[\(index)]."))
        }
    }

    /// What each rule says now, consuming nothing; always 200.
    private func status(_ exchange: Exchange) throws {
        parser.begin()
        var members: [JSONValue.Member] = []
        for name in ["identifier", "apiKey", "userId", "ip", "endpoint", "method", "tier"] as [StaticString] {
            if let value = exchange.queryItem(name) { members.append(.init("\(name)", .string(value))) }
        }
        var request = try parser.request(.object(members))
        request.isPeek = true
        try limiter.demandAddress(of: request, field: "ip")
        limiter.decide(request) { decision, _ in
            exchange.beginReply(200)
            exchange.addHeader("Cache-Control", "no-store")
            exchange.finishReply(contentType: "application/json") { DecisionJSON.write(decision, to: $0) }
        }
    }
}

/// Gathers the decisions of one bulk request and answers when the last is there.
private final class BulkReply {
    private let exchange: Exchange
    private var decisions: [Decision]
    private var missing: Int

    init(_ exchange: Exchange, count: Int) {
        self.exchange = exchange
        decisions = Array(repeating: Decision(isAllowed: true, reason: .noRule), count: count)
        missing = count
    }

    func receive(_ decision: Decision, at index: Int) {
        decisions[index] = decision
        missing -= 1
        if missing == 0 { exchange.loop.spawn { [self] in await reply() } }
    }

    /// Answers; what is long is written in slices.
    private func reply() async {
        let text = ByteBuffer()
        var slices = WorkSlices(exchange.loop)
        for i in decisions.indices {
            if i > 0 { text.append(UInt8(ascii: ",")) }
            DecisionJSON.write(decisions[i], to: text)
            if i.isMultiple(of: 16) { await slices.pauseIfLong() }
        }
        exchange.beginReply(200)
        exchange.addHeader("Cache-Control", "no-store")
        exchange.finishReply(contentType: "application/json") { body in
            body.append("{\"decisions\":[")
            body.append(text.view)
            body.append("]}")
        }
    }
}
