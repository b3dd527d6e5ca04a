import Bytes
import HTTP
import JSON
import Redis
import Services

/// `/api/rate-limits/leases`: places under concurrency rules, taken, kept and released.
final class LeaseEndpoints {
    private let limiter: Limiter
    private let context: ServiceContext
    private let parser = CheckParser()

    init(limiter: Limiter, context: ServiceContext) {
        self.limiter = limiter
        self.context = context
    }

    func add(to routes: Routes) {
        routes.on(.post, "/api/rate-limits/leases", role: .check) { [unowned self] exchange, _ in
            try await take(exchange)
        }
        routes.on(.put, "/api/rate-limits/leases/{id}", role: .check) { [unowned self] exchange, _ in
            try await renew(exchange)
        }
        routes.on(.delete, "/api/rate-limits/leases/{id}", role: .check) { [unowned self] exchange, _ in
            try await release(exchange)
        }
    }

    /// A check that must meet a concurrency rule: 201 with the lease, or the refusal.
    private func take(_ exchange: Exchange) async throws {
        try exchange.requireJSON()
        parser.begin()
        var reader = JSONReader(exchange.body)
        let request = try parser.parse(&reader)
        try reader.end()
        try limiter.demandAddress(of: request, field: "ip")
        guard let (policies, _) = limiter.subject(of: request), policies.takesLeases else {
            throw Problem(.impossible, "no concurrency rule is for this request")
        }
        let decision = await limiter.decide(request)
        guard decision.isAllowed, decision.leaseID != nil else { return DecisionReply.send(decision, to: exchange) }
        exchange.beginReply(201)
        exchange.addHeaderLines { DecisionHeaders.write(decision, decision.templates, to: $0) }
        exchange.finishReply(contentType: "application/json") { DecisionJSON.write(decision, to: $0) }
    }

    /// Keeps a lease for another `maxLeaseMs`.
    private func renew(_ exchange: Exchange) async throws {
        let leases = try leases(exchange)
        var expiresAtUs = Int.max
        for (lease, leaseMs) in leases {
            let reply = try await context.redis.run(
                RateLimitScripts.leaseRenew, keys: [key(lease)], arguments: ["", lease.member, String(leaseMs * 1000)],
                budgetUs: 1_000_000)
            guard case .array(let parts) = reply, parts.first?.string == "renewed", let until = parts.last?.int else {
                throw LeaseEndpoints.gone
            }
            expiresAtUs = min(expiresAtUs, until)
        }
        exchange.reply(
            200,
            json: .object([
                .init("leaseId", .string(exchange.parameter(0))),
                .init("expiresAt", .string(Timestamp(us: Int64(expiresAtUs)).rfc3339)),
            ]))
    }

    private func release(_ exchange: Exchange) async throws {
        var wasHeld = false
        for (lease, _) in try leases(exchange) {
            let reply = try await context.redis.run(
                RateLimitScripts.leaseRelease, keys: [key(lease)], arguments: ["", lease.member], budgetUs: 1_000_000)
            if reply.string == "released" { wasHeld = true }
        }
        if !wasHeld { throw LeaseEndpoints.gone }
        exchange.beginReply(204)
        exchange.finishReply(contentType: nil) { _ in }
    }

    /// The leases that the path names (several where several concurrency rules met), with their rules' lease times.
    private func leases(_ exchange: Exchange) throws(Problem) -> [(lease: LeaseID, leaseMs: Int)] {
        var leases: [(LeaseID, Int)] = []
        for text in exchange.parameter(0).split(separator: ",") {
            guard let lease = LeaseID(text: String(text)), let named = lease.rule,
                let rule = limiter.rules.rule(id: named.id), rule.generation == named.generation,
                case .concurrency(_, let leaseMs)? = rule.strategy
            else { throw LeaseEndpoints.gone }
            leases.append((lease, leaseMs))
        }
        return leases
    }

    private func key(_ lease: LeaseID) -> String { context.process.prefix + "ratelimit:" + lease.key }

    private static let gone = Problem(.notFound, "there is no such lease; it may have been released or have expired")
}
