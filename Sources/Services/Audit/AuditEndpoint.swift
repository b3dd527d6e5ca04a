import HTTP
import JSON
import Redis

/// `GET /api/audit`: the audit log, the latest entry first.
public final class AuditEndpoint {
    private let context: ServiceContext
    private static let budgetUs: Int64 = 2_000_000

    public init(context: ServiceContext) { self.context = context }

    public func add(to routes: Routes) {
        routes.on(.get, "/api/audit", role: .admin) { [unowned self] exchange, _ in try await list(exchange) }
    }

    private func list(_ exchange: Exchange) async throws {
        let page = try Page(exchange)
        let place = try page.place(StreamID.ofEntry)
        let key = AuditLog.key(context.process)
        let reply = try await context.redis.send(
            ["XREVRANGE", key, place.map { "(\($0)" } ?? "+", "-", "COUNT", String(page.limit)], key: key,
            budgetUs: AuditEndpoint.budgetUs)
        guard case .array(let elements) = reply else { throw RedisError.unexpectedReply("XREVRANGE") }
        var last: String?
        var entries: [JSONValue] = []
        for case .array(let parts) in elements {
            guard let id = parts.first?.string, let fields = parts.last?.strings else { continue }
            last = id
            entries.append(AuditEntry.json(id: id, fields))
        }
        exchange.beginReply(200)
        exchange.addHeader("Cache-Control", "no-store")
        if elements.count == page.limit, let last { page.addNextLink(last, to: exchange) }
        exchange.finishReply(contentType: "application/json") { JSONValue.array(entries).write(to: $0) }
    }
}
