import Bytes
import HTTP
import JSON
import Redis
import Services

/// `/api/rate-limits/refund` and `/reset`: giving back what was consumed, and forgetting it.
final class GiveBackEndpoints {
    private let limiter: Limiter
    private let store: RuleStore
    private let context: ServiceContext
    private let calls: RefundCalls
    private let parser = CheckParser()

    init(limiter: Limiter, store: RuleStore) {
        self.limiter = limiter
        self.store = store
        context = store.context
        calls = RefundCalls(limiter: limiter, redis: context.redis)
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/rate-limits/refund", role: .refund) { [unowned self] exchange, caller in
            try await refund(exchange, caller)
        }
        routes.on(.post, "/api/rate-limits/reset", role: .admin) { [unowned self] exchange, _ in
            try await reset(exchange)
        }
    }

    /// What a request names: who and what for, as in a check, and perhaps one rule.
    private struct Target {
        var question: JSONValue
        var rule: String?
        var amount = 1
        var receipt: Receipt?
    }

    private func refund(_ exchange: Exchange, _ caller: Caller) async throws {
        let idempotencyKey = try IdempotencyKey(exchange, caller: caller)
        let target = try target(exchange, takesAmount: true)
        guard let (policies, keys) = try find(target) else {
            return exchange.reply(200, json: .object([.init("results", .array([]))]))
        }
        limiter.willGiveBack(keys)
        let words = try await calls.run(
            policies, keys, amount: target.amount, receipt: target.receipt, under: idempotencyKey)
        await announce(keys)
        if words.allSatisfy({ $0.word == "unsupported" }) {
            throw Problem(.impossible, "leases of a concurrency rule are released, not refunded")
        }
        let results = zip(policies.rules, words).map { rule, result in
            var members: [JSONValue.Member] = [
                .init("id", .string(rule.rule.id)), .init("rule", .string(rule.rule.name)),
                .init("result", .string(result.word)),
            ]
            if result.word == "refunded" { members.append(.init("remaining", .int(result.remaining))) }
            return JSONValue.object(members)
        }
        exchange.reply(200, json: .object([.init("results", .array(results))]))
    }

    private func reset(_ exchange: Exchange) async throws {
        let target = try target(exchange, takesAmount: false)
        guard let (policies, keys) = try find(target) else {
            return exchange.reply(200, json: .object([.init("reset", .array([]))]))
        }
        limiter.willGiveBack(keys)
        for key in keys {
            let key = String(decoding: key, as: UTF8.self)
            _ = try await context.redis.send(["DEL", key], key: key, budgetUs: 1_000_000)
        }
        await announce(keys)
        exchange.reply(200, json: .object([.init("reset", .array(policies.rules.map { .string($0.rule.name) }))]))
    }

    private func target(_ exchange: Exchange, takesAmount: Bool) throws -> Target {
        guard case .object(let members) = try exchange.jsonBody() else {
            throw Problem(.invalidRequest, "the body must be a JSON object")
        }
        let own = ["amount", "rule", "receipt"]
        var fields = try Fields(.object(members.filter { own.contains($0.key) }))
        var target = Target(question: .object(members.filter { !own.contains($0.key) }))
        target.rule = try fields.string("rule", max: RuleDraft.longestName)
        if takesAmount {
            let amount = try fields.int("amount", in: 1...CheckRequest.largestCost)
            target.receipt = try fields.string("receipt", max: 8192).map { text throws(Problem) in
                try Receipt(text: text)
            }
            target.amount = target.receipt?.cost ?? amount ?? 1
            if let amount, amount != target.amount {
                throw Problem.field("amount", "differs from the receipt's cost, which is given back as a whole")
            }
        }
        try fields.finish()
        return target
    }

    /// The rules and keys concerned; nil when there are none.
    private func find(_ target: Target) throws -> (policies: PolicySet, keys: [[UInt8]])? {
        parser.begin()
        let request = try parser.request(target.question)
        try limiter.demandAddress(of: request, field: "ip")
        guard let (policies, keys) = limiter.subject(of: request) else { return nil }
        let kept = policies.rules.indices.filter { i in
            let rule = policies.rules[i].rule
            if let name = target.rule, rule.id != name, rule.name != name { return false }
            guard let receipt = target.receipt else { return true }
            return receipt.part(of: rule) != nil
        }
        if let name = target.rule, kept.isEmpty, target.receipt == nil {
            throw Problem.impossible("rule", "is no rule that counts this request: \(name)")
        }
        guard !kept.isEmpty else { return nil }
        return (
            PolicySet(rules: kept.map { policies.rules[$0] }, enforcingCount: kept.count), kept.map { keys[$0] }
        )
    }

    /// Tells all loops of all replicas to forget remembered refusals of these keys.
    private func announce(_ keys: [[UInt8]]) async {
        let message = keys.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
        let channel = store.keys.dropChannel
        _ = try? await context.redis.send(["PUBLISH", channel, message], key: channel, budgetUs: 250_000)
    }
}
