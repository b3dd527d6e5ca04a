import Bytes
import EventLoops
import JSON
import TestSupport

/// Sends the requests of the walk and remembers what was made.
struct Walker {
    private let replica: Replica
    private var connection: HTTPConnection
    private var ids: [String: [String]] = [:]
    private var cursors: [String] = []
    var mutator: Mutator
    /// The last request, for messages.
    private(set) var said = ""

    init(_ replica: Replica, _ mutator: Mutator) throws {
        self.replica = replica
        self.mutator = mutator
        connection = try replica.connect()
    }

    mutating func send(_ request: WalkRequest) throws -> HTTPAnswer {
        let query = request.query.contains("limit") ? "?limit=1" : ""
        let standing = [
            "/api/rate-limits/status": "?identifier=ann&ip=192.0.2.1",
            "/api/cron/preview": "?expression=0+*+*+*+*",
            "/api/reservations": "?orderId=o1", "/api/inventory/placement": "?productId=MUG-1",
        ]
        let items = request.method == "GET" ? standing[request.path] ?? query : ""
        return try exchange(request, filled(request.path) + items, request.body.map { filled($0) })
    }

    mutating func sendMutated(_ request: WalkRequest) throws -> HTTPAnswer {
        var path = filled(request.path)
        if mutator.oneIn(5), let at = path.lastIndex(of: "/") {
            path = path[...at] + WalkerText.encoded(mutator.nearly(String(path[path.index(after: at)...])))
        }
        var items: [String] = []
        for name in request.query where mutator.oneIn(2) {
            let isCursor = name == "cursor" && !cursors.isEmpty
            let value = isCursor ? mutator.nearly(mutator.pick(cursors)) : mutator.item()
            items.append("\(name)=\(WalkerText.encoded(value))")
        }
        if !items.isEmpty { path += "?" + items.joined(separator: "&") }
        let other = mutator.pick(Walk.all).body.map { filled($0) }
        let body = request.body.map { mutator.body(filled($0), borrowing: other) }
        return try exchange(request, path, body)
    }

    private mutating func exchange(_ request: WalkRequest, _ target: String, _ body: String?) throws -> HTTPAnswer {
        said = "\(request.method) \(target) \(body ?? "")"
        let isTable = request.path.hasSuffix("/import")
        let headers = isTable ? [("Content-Type", "text/csv")] : []
        if request.isStream {
            let stream = try replica.connect()
            try stream.send([HTTPConnection.encode(request.method, target)])
            return try stream.receiveHead()
        }
        let answer: HTTPAnswer
        do { answer = try connection.request(request.method, target, headers: headers, body: body) } catch {
            // Some refusals end the connection; a second failure is one.
            connection = try replica.connect()
            answer = try connection.request(request.method, target, headers: headers, body: body)
        }
        if answer.header("Connection") == "close" { connection = try replica.connect() }
        remember(request, answer)
        return answer
    }

    private mutating func remember(_ request: WalkRequest, _ answer: HTTPAnswer) {
        for item in (answer.header("Link") ?? "").split(whereSeparator: { "?&<>".contains($0) }) {
            if item.hasPrefix("cursor=") { cursors.append(String(item.dropFirst(7))) }
        }
        guard (200...299).contains(answer.status), let json = answer.json else { return }
        if let kind = request.keeps {
            let names = ["id", "leaseId", "reservationId", "bulkId", "batchId"]
            if let id = names.lazy.compactMap({ json[$0]?.asText }).first { ids[kind, default: []].append(id) }
        }
        if request.path == "/api/alerts/low-stock", case .array(let alerts) = json {
            ids["alert", default: []] += alerts.compactMap { $0["id"]?.asText }
        }
    }

    /// A text with ids for its `<kind>`s.
    private mutating func filled(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        while let start = rest.firstIndex(of: "<"), let end = rest[start...].firstIndex(of: ">") {
            let kind = String(rest[rest.index(after: start)..<end])
            result += rest[..<start]
            if kind == "soon" {
                result += Timestamp(us: WallClock.nowUs() + 3_600_000_000).rfc3339
            } else {
                let known = (ids[kind] ?? []).suffix(20)
                result += known.isEmpty ? "none" : mutator.pick(Array(known))
            }
            rest = rest[rest.index(after: end)...]
        }
        return result + rest
    }
}

private enum WalkerText {
    /// Percent-encoded as a part of a target.
    static func encoded(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                result.append(Character(UnicodeScalar(byte)))
            default: result += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
            }
        }
        return result
    }
}

extension JSONValue {
    var asText: String? { if case .string(let text) = self { text } else { nil } }
}
