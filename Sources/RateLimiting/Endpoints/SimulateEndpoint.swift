import Bytes
import Digests
import EventLoops
import HTTP
import JSON
import Redis
import Services

/// `/api/rate-limits/simulate`: what rules would decide, by the very scripts, on throwaway keys and with a given clock.
final class SimulateEndpoint {
    static let mostRequests = 1000
    /// 1970 to 2100: with the longest run after it every time in µs stays exact in the scripts.
    static let startsUs: ClosedRange<Int64> = 0...4_102_444_800_000_000

    private let context: ServiceContext

    init(context: ServiceContext) { self.context = context }

    func add(to routes: Routes) {
        routes.on(.post, "/api/rate-limits/simulate", role: .check, bodyLimit: 4 << 20) { [unowned self] exchange, _ in
            try await simulate(exchange)
        }
    }

    private func simulate(_ exchange: Exchange) async throws {
        var fields = try Fields(try exchange.jsonBody())
        let rules = try rules(&fields)
        var startUs: Int64 = 0
        if let text = try fields.string("startAt") {
            guard let start = text.withByteView({ Timestamp(rfc3339: $0) }) else {
                throw Problem.field(
                    "startAt", "must be a time by RFC 3339 with an offset, such as 2026-01-01T00:00:00Z")
            }
            guard SimulateEndpoint.startsUs.contains(start.us) else {
                throw Problem.field("startAt", "must lie between the years 1970 and 2100")
            }
            startUs = start.us
        }
        let requests = try fields.array("requests", maxCount: SimulateEndpoint.mostRequests).required("requests")
        try fields.finish()
        let questions = try requests.enumerated().map { try question($1, index: $0, startUs: startUs) }
        let simulation = Simulation(rules: rules, context: context)
        var decisions: [Decision] = []
        do {
            for question in questions { decisions.append(try await simulation.decide(question)) }
        } catch {
            await simulation.cleanUp()
            throw error
        }
        await simulation.cleanUp()
        exchange.beginReply(200)
        exchange.finishReply(contentType: "application/json") { body in
            body.append("{\"decisions\":[")
            for (i, decision) in decisions.enumerated() {
                if i > 0 { body.append(UInt8(ascii: ",")) }
                DecisionJSON.write(decision, to: body)
            }
            body.append("]}")
        }
    }

    private func rules(_ fields: inout Fields) throws -> RuleSet {
        var drafts: [RuleDraft] = []
        if let rule = fields.value("rule") { drafts.append(try RuleDraft(rule, field: "rule")) }
        for (i, rule) in (try fields.array("rules", maxCount: 100) ?? []).enumerated() {
            drafts.append(try RuleDraft(rule, field: "rules[\(i)]"))
        }
        if drafts.isEmpty { throw Problem.field("rule", "is required (or rules)") }
        let made = drafts.enumerated().map { i, draft in
            let id = "rule-\(i + 1)"
            return Rule(
                draft, id: id, name: draft.name ?? id, version: 1, generation: 1, createdAtUs: Int64(i), nowUs: 0)
        }
        return RuleSet(revision: 1, lastChange: "0-0", rules: made)
    }

    /// One request: `atMs` or `atUs` after the start (default 0) and what a check has; the identifier may be left out.
    private func question(_ value: JSONValue, index: Int, startUs: Int64) throws -> Simulation.Question {
        let path = "requests[\(index)]"
        guard case .object(let members) = value else { throw Problem.field(path, "must be an object") }
        var times = try Fields(.object(members.filter { $0.key == "atMs" || $0.key == "atUs" }), of: path)
        let longestMs = 100 * RuleDraft.longestWindowMs
        let atMs = try times.durationMs("atMs", in: 0...longestMs)
        let atUs = try times.int("atUs", in: 0...longestMs * 1000)
        if atMs != nil, atUs != nil { throw Problem.field(times.name("atUs"), "stands beside atMs; give one of them") }
        var rest = members.filter { $0.key != "atMs" && $0.key != "atUs" }
        if !rest.contains(where: { ["identifier", "apiKey", "userId", "ip"].contains($0.key) }) {
            rest.append(.init("identifier", .string("simulated")))
        }
        let parser = CheckParser()
        let request = try parser.request(.object(rest), path: path + ".")
        return Simulation.Question(
            nowUs: Int(startUs) + (atUs ?? (atMs ?? 0) * 1000), request: request, parser: parser)
    }
}

/// A run of the scripts under a given clock, on keys of its own.
private final class Simulation: CheckBatchOwner {
    struct Question {
        /// The given clock, µs since the epoch.
        let nowUs: Int
        let request: CheckRequest
        /// Holds the bytes that the request looks into.
        let parser: CheckParser
    }

    private let matcher: Matcher
    private let keys = RequestKeys()
    private let builder: KeyBuilder
    private let context: ServiceContext
    private var periods = QuotaPeriods()
    private var waiting: ((CheckAnswer?) -> Void)?
    private var failure: RedisError?
    /// When each key's state says nothing any more, by the given clock.
    private var expiresAtUs: [[UInt8]: Int] = [:]

    init(rules: RuleSet, context: ServiceContext) {
        matcher = Matcher(rules)
        self.context = context
        // All keys of a run share its tag, and with it a cluster's slot, whatever their rules count by.
        builder = KeyBuilder(prefix: context.process.prefix + "simulate:{\(RandomID.hex(bytes: 8))}:")
    }

    func decide(_ question: Question) async throws -> Decision {
        switch matcher.match(question.request) {
        case .noRule: return Decision(isAllowed: true, reason: .noRule)
        case .allowListed(let rule): return Decision(isAllowed: true, reason: .allowListed, decider: rule)
        case .denyListed(let rule): return Decision(isAllowed: false, reason: .denyListed, decider: rule)
        case .limits(let policies): return try await count(question, policies)
        }
    }

    private func count(_ question: Question, _ policies: PolicySet) async throws -> Decision {
        keys.build(policies, question.request, builder)
        let names = (0..<keys.count).map { keys.key($0).array }
        try await delete(names.filter { (expiresAtUs[$0] ?? .max) <= question.nowUs })
        let batch = CheckBatch(
            owner: self, policies: policies, isPeek: question.request.isPeek, epoch: 0,
            leasePrefix: policies.takesLeases ? RandomID.hex(bytes: 8) : nil, givenNowUs: question.nowUs)
        keys.build(policies, question.request, builder)
        _ = batch.append(keys: keys, cost: question.request.cost)
        periods.fill(batch)
        let answer: CheckAnswer? = await suspend { resume in
            waiting = resume
            context.redis.submit(batch, budgetUs: 1_000_000)
        }
        guard let answer else { throw failure ?? RedisError.unexpectedReply("check") }
        for (i, name) in names.enumerated() {
            expiresAtUs[name] = question.nowUs + answer.lifeMs[i] * 1000
        }
        return answer.decision(0)
    }

    func completed(_ batch: CheckBatch, _ result: Result<ReplyView, RedisError>) {
        let resume = waiting
        waiting = nil
        switch result {
        case .success(let reply): resume?(CheckAnswer(reply, batch))
        case .failure(let error):
            failure = error
            resume?(nil)
        }
    }

    /// Removes what the run has made. Were this lost, the keys would expire by themselves.
    func cleanUp() async {
        try? await delete(Array(expiresAtUs.keys))
    }

    private func delete(_ names: [[UInt8]]) async throws {
        for name in names {
            let key = String(decoding: name, as: UTF8.self)
            _ = try await context.redis.send(["DEL", key], key: key, budgetUs: 1_000_000)
            expiresAtUs[name] = nil
        }
    }
}
