import Bytes
import HTTP
import JSON
import Redis
import Services

/// `/api/rate-limits`: the rules themselves.
final class RuleEndpoints {
    private let store: RuleStore
    private let limiter: Limiter
    private let revisions: BoundRevisions
    private let context: ServiceContext

    init(store: RuleStore, limiter: Limiter, revisions: BoundRevisions) {
        self.store = store
        self.limiter = limiter
        self.revisions = revisions
        context = store.context
    }

    func add(to routes: Routes) {
        routes.immediate(.get, "/api/rate-limits", role: .read) { [unowned self] exchange, _ in try list(exchange) }
        routes.on(.post, "/api/rate-limits", role: .admin) { [unowned self] exchange, caller in
            try await create(exchange, caller)
        }
        routes.on(.post, "/api/rate-limits/apply", role: .admin, bodyLimit: 16 << 20) { [unowned self] exchange, _ in
            try await apply(exchange)
        }
        for pattern in RuleEndpoints.ruleRoutes {
            routes.immediate(.get, pattern, role: .read) { [unowned self] exchange, _ in
                let rule = try find(exchange.parameter(0), in: limiter.rules)
                RuleEndpoints.reply(exchange, 200, rule)
            }
            routes.on(.put, pattern, role: .admin) { [unowned self] exchange, _ in try await replace(exchange) }
            routes.on(.delete, pattern, role: .admin) { [unowned self] exchange, _ in try await delete(exchange) }
        }
    }

    /// The second is for rules whose ids are also routes of ours, `status` for one. No new rule has such an id.
    private static let ruleRoutes = ["/api/rate-limits/{id}", "/api/rate-limits/rules/{id}"]

    /// What stands under `/api/rate-limits/` beside the rules.
    static let otherRoutes: Set<String> = [
        "apply", "authorize", "check", "events", "leases", "refund", "reset", "rules", "simulate", "status",
    ]

    /// Whether an administrator reads or changes the rules. No rule may keep them from that, or one with `deny` on the
    /// group `quartermaster` would hold for good.
    func isAdministration(_ exchange: Exchange) -> Bool {
        guard let pattern = exchange.route?.pattern else { return false }
        guard RuleEndpoints.administration.contains(pattern) else { return false }
        if context.tokens.isEmpty { return true }
        guard let authorization = exchange.header("authorization") else { return false }
        return context.tokens.caller(authorization: authorization)?.role.includes(.admin) ?? false
    }

    private static let administration = Set(["/api/rate-limits", "/api/rate-limits/apply"] + ruleRoutes)

    /// Suspends until every loop of this process decides by `revision`, ten seconds at most: a client that has its answer
    /// may rely on it at this replica at once.
    func bind(_ revision: Int) async {
        context.process.broadcasts.send(revision, to: RuleFeed.requests)
        for _ in 0..<5000 where revisions.oldest < revision { await context.loop.sleep(us: 2000) }
    }

    private func list(_ exchange: Exchange) throws(Problem) {
        let page = try Page(exchange)
        let all = limiter.rules.rules
        var start = 0
        if let position = try page.place({ cursor in all.firstIndex { $0.id == cursor } }) { start = position + 1 }
        let rules = all[start...].prefix(page.limit)
        exchange.beginReply(200)
        if rules.endIndex < all.count, let last = rules.last { page.addNextLink(last.id, to: exchange) }
        exchange.finishReply(contentType: "application/json") { body in
            JSONValue.array(rules.map(\.json)).write(to: body)
        }
    }

    private func create(_ exchange: Exchange, _ caller: Caller) async throws {
        let draft = try RuleDraft(try exchange.jsonBody())
        let key = try IdempotencyKey(exchange, caller: caller)
        let outcome = try await store.change(under: key) { rules in
            let rule = try RuleChanges.create(draft, in: rules)
            return RuleStore.Plan([.put(rule)], rule, answer: key?.record(status: 201, body: rule.json.text()))
        }
        switch outcome {
        case .changed(let rule, let revision):
            await bind(revision)
            exchange.stashHeader("Location", "/api/rate-limits/\(rule.id)")
            RuleEndpoints.reply(exchange, 201, rule)
        case .answeredBefore(let record):
            guard let (status, body) = try key?.answer(in: record) else { return }
            exchange.beginReply(status)
            exchange.finishReply(contentType: "application/json") { $0.append(body) }
        // Only a rule file has a digest that could have been applied.
        case .alreadyApplied: throw RedisError.unexpectedReply("rules_change")
        }
    }

    private func replace(_ exchange: Exchange) async throws {
        let draft = try RuleDraft(try exchange.jsonBody())
        let id = exchange.parameter(0)
        let expected = try exchange.ifMatch()
        var before: Int?
        let rule = try await changeAndBind { rules in
            let old = try find(id, in: rules)
            try expected.check(old.version)
            before = old.version
            let rule = try RuleChanges.replace(old, with: draft, in: rules)
            return RuleStore.Plan([.put(rule)], rule)
        }
        RuleEndpoints.reply(exchange, 200, rule, before: before)
    }

    private func delete(_ exchange: Exchange) async throws {
        let id = exchange.parameter(0)
        let expected = try exchange.ifMatch()
        try await changeAndBind { rules in
            let old = try find(id, in: rules)
            try expected.check(old.version)
            exchange.change = Change(id, before: old.version)
            return RuleStore.Plan([.delete(id: id)], ())
        }
        exchange.beginReply(204)
        exchange.finishReply(contentType: nil) { _ in }
    }

    /// A rule file: brings the rules to what it says, all or nothing. `?prune=true` deletes what it does not name.
    private func apply(_ exchange: Exchange) async throws {
        let prunes = exchange.queryItem("prune") == "true"
        let drafts = try await exchange.jsonBodyOffLoop { try RuleChanges.drafts($0) }
        let count = try await changeAndBind { rules in
            try await RuleChanges.applyOffLoop(drafts, to: rules, prunes: prunes)
        }
        exchange.reply(
            200, json: .object([.init("changed", .int(count)), .init("revision", .int(limiter.rules.revision))]))
    }

    @discardableResult
    private func changeAndBind<Result>(_ plan: (RuleSet) async throws -> RuleStore.Plan<Result>) async throws -> Result
    {
        guard case .changed(let result, let revision) = try await store.change(plan) else {
            // Only a rule file has a digest, and only POST an idempotency key.
            throw RedisError.unexpectedReply("rules_change")
        }
        await bind(revision)
        return result
    }

    private func find(_ id: String, in rules: RuleSet) throws(Problem) -> Rule {
        guard let rule = rules.rule(id: id) else { throw Problem(.notFound, "there is no rule \(id)") }
        return rule
    }

    private static func reply(_ exchange: Exchange, _ status: Int, _ rule: Rule, before: Int? = nil) {
        exchange.change = Change(rule.id, before: before, after: rule.version)
        exchange.stashHeader("ETag", "\"\(rule.version)\"")
        exchange.reply(status, json: rule.json)
    }
}
