import Bytes
import EventLoops
import HTTP
import JSON

/// One line of the audit log: who changed what, by which request, and how it ended. It holds no body and no secret.
public struct AuditEntry: Sendable {
    /// A token's name, `local` without tokens, `system` for what the program does by itself.
    public var who: String
    public var role: String
    /// The request's method, or what the program did.
    public var method: String
    /// The pattern of the route.
    public var route: String
    /// What it was done to: an id, a name; empty when there is none.
    public var subject: String
    public var before: Int?
    public var after: Int?
    /// Of the answer; 0 when nobody knows.
    public var status = 0
    public var requestID = ""
    /// The client's address; empty for a unix socket.
    public var address = ""

    /// Longer subjects are cut: a path may be as long as a request's head.
    static let longestSubject = 256

    /// Something that the program did by itself.
    public init(system method: String, route: String, subject: String) {
        who = "system"
        role = ""
        self.method = method
        self.route = route
        self.subject = subject
    }

    /// What is known before the handler has run.
    init(_ exchange: Exchange, _ caller: Caller, _ method: String, _ pattern: String, _ proxies: TrustedProxies) {
        who = caller.name
        role = caller.role.rawValue
        self.method = method
        route = pattern
        let parameters = pattern.split(separator: "/").filter { $0.hasPrefix("{") }
        subject = parameters.indices.map { exchange.parameter($0) }.joined(separator: " ")
        requestID = RequestID.text(of: exchange)
        address = proxies.clientAddress(exchange, peer: PeerAddress(exchange.peer))?.description ?? ""
    }

    /// What the handler has left.
    mutating func ended(_ status: Int, _ change: Change?) {
        self.status = status
        guard let change else { return }
        if !change.subject.isEmpty { subject = change.subject }
        before = change.before
        after = change.after
    }

    // MARK: In Redis

    /// The fields of its stream entry, names and values in turn. Those without a value are left out.
    var fields: [String] {
        let cut = String(decoding: subject.utf8.prefix(AuditEntry.longestSubject), as: UTF8.self)
        let pairs: [(String, String)] = [
            ("who", who), ("role", role), ("method", method), ("route", route), ("subject", cut),
            ("before", before.map(String.init) ?? ""), ("after", after.map(String.init) ?? ""),
            ("status", status == 0 ? "" : String(status)), ("request", requestID), ("address", address),
        ]
        return pairs.filter { !$0.1.isEmpty }.flatMap { [$0.0, $0.1] }
    }

    /// A stream entry as it is shown.
    /// - Parameter id: `<ms by Redis's clock>-<number>`.
    static func json(id: String, _ fields: [String]) -> JSONValue {
        var values: [String: String] = [:]
        for i in stride(from: 0, to: fields.count - 1, by: 2) { values[fields[i]] = fields[i + 1] }
        func text(_ name: String) -> JSONValue { values[name].map { .string($0) } ?? .null }
        func number(_ name: String) -> JSONValue { values[name].flatMap { Int($0) }.map { .int($0) } ?? .null }
        let ms = id.split(separator: "-").first.flatMap { Int64($0) } ?? 0
        let at = ByteBuffer(capacity: 32)
        Timestamp(us: ms * 1000).appendRFC3339(to: at)
        return .object([
            .init("id", .string(id)), .init("at", .string(at.view.string)), .init("who", text("who")),
            .init("role", text("role")), .init("method", text("method")), .init("route", text("route")),
            .init("subject", text("subject")), .init("before", number("before")), .init("after", number("after")),
            .init("status", number("status")), .init("requestId", text("request")), .init("address", text("address")),
        ])
    }
}
