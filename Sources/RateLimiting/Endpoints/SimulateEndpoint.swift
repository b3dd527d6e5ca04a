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
    static let mostAnswerBytes = 8 << 20
    /// 1970 to 2100: with the longest run after it every time in µs stays exact in the scripts.
    static let startsUs: ClosedRange<Int64> = 0...4_102_444_800_000_000

    private let context: ServiceContext

    init(context: ServiceContext) { self.context = context }

    func add(to routes: Routes) {
        routes.on(.post, "/api/rate-limits/simulate", role: .check, bodyLimit: 4 << 20) { [unowned self] exchange, _ in
            try await simulate(exchange)
        }
    }

    /// What is to be simulated, read and checked. Rules and requests may be thousands of texts, so this is made off the loop.
    private struct Plan: Sendable {
        struct Step: Sendable {
            /// The given clock, µs since the epoch.
            let nowUs: Int
            /// A check that can be read.
            let check: JSONValue
        }

        let rules: RuleSet
        let steps: [Step]
    }

    private func simulate(_ exchange: Exchange) async throws {
        let plan = try await exchange.jsonBodyOffLoop { try SimulateEndpoint.plan($0) }
        let simulation = Simulation(rules: plan.rules, context: context)
        let decisions = ByteBuffer()
        let parser = CheckParser()
        do {
            for step in plan.steps {
                parser.begin()
                let decision = try await simulation.decide(try parser.request(step.check), nowUs: step.nowUs)
                if decisions.count > 0 { decisions.append(UInt8(ascii: ",")) }
                DecisionJSON.write(decision, to: decisions)
                guard decisions.count <= SimulateEndpoint.mostAnswerBytes else {
                    throw Problem.impossible(
                        "requests",
                        "lead to an answer of more than \(SimulateEndpoint.mostAnswerBytes) bytes; send fewer")
                }
            }
        } catch {
            await simulation.cleanUp()
            throw error
        }
        await simulation.cleanUp()
        exchange.beginReply(200)
        exchange.finishReply(contentType: "application/json") { body in
            body.append("{\"decisions\":[")
            body.append(decisions.view)
            body.append("]}")
        }
    }

    private static func plan(_ body: JSONValue) throws -> Plan {
        var fields = try Fields(body)
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
        let parser = CheckParser()
        return Plan(
            rules: rules, steps: try requests.enumerated().map { try step($1, index: $0, startUs: startUs, parser) })
    }

    private static func rules(_ fields: inout Fields) throws -> RuleSet {
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
    private static func step(
        _ value: JSONValue, index: Int, startUs: Int64, _ parser: CheckParser
    ) throws -> Plan.Step {
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
        parser.begin()
        _ = try parser.request(.object(rest), path: path + ".")
        return Plan.Step(nowUs: Int(startUs) + (atUs ?? (atMs ?? 0) * 1000), check: .object(rest))
    }
}

/// A run of the scripts under a given clock, on keys of its own.
private final class Simulation: CheckBatchOwner {
    /// Nobody's request waits for a simulation, which may be of a hundred rules a step.
    private static let budgetUs: Int64 = 10_000_000

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

    /// - Parameter nowUs: the given clock, µs since the epoch.
    func decide(_ request: CheckRequest, nowUs: Int) async throws -> Decision {
        switch matcher.match(request) {
        case .noRule: return Decision(isAllowed: true, reason: .noRule)
        case .allowListed(let rule): return Decision(isAllowed: true, reason: .allowListed, decider: rule)
        case .denyListed(let rule): return Decision(isAllowed: false, reason: .denyListed, decider: rule)
        case .limits(let policies): return try await count(request, nowUs, policies)
        }
    }

    private func count(_ request: CheckRequest, _ nowUs: Int, _ policies: PolicySet) async throws -> Decision {
        keys.build(policies, request, builder)
        let names = (0..<keys.count).map { keys.key($0).array }
        try await delete(names.filter { (expiresAtUs[$0] ?? .max) <= nowUs })
        let batch = CheckBatch(
            owner: self, policies: policies, isPeek: request.isPeek, epoch: 0,
            leasePrefix: policies.takesLeases ? RandomID.hex(bytes: 8) : nil, givenNowUs: nowUs)
        _ = batch.append(keys: keys, cost: request.cost)
        periods.fill(batch)
        let answer: CheckAnswer? = await suspend { resume in
            waiting = resume
            context.redis.submit(batch, budgetUs: Simulation.budgetUs)
        }
        guard let answer else { throw failure ?? RedisError.unexpectedReply("check") }
        for (i, name) in names.enumerated() {
            expiresAtUs[name] = nowUs + answer.lifeMs[i] * 1000
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
        for start in stride(from: 0, to: names.count, by: 500) {
            let some = names[start..<min(start + 500, names.count)]
            let keys = some.map { String(decoding: $0, as: UTF8.self) }
            _ = try await context.redis.send(["DEL"] + keys, key: keys[0], budgetUs: Simulation.budgetUs)
            for name in some { expiresAtUs[name] = nil }
        }
    }
}
