import EventLoops
import Glibc
import JSON
import TestSupport

extension JSONValue {
    var int: Int? { if case .int(let number) = self { number } else { nil } }
    var string: String? { if case .string(let text) = self { text } else { nil } }
    var bool: Bool? { if case .bool(let flag) = self { flag } else { nil } }
    var elements: [JSONValue] { if case .array(let elements) = self { elements } else { [] } }
}

extension HTTPAnswer {
    subscript(key: String) -> JSONValue? { json?[key] }

    var isAllowed: Bool? { self["allowed"]?.bool }
    var reason: String? { self["reason"]?.string }
    var remaining: Int? { self["remaining"]?.int }
    var retryAfterMs: Int? { self["retryAfterMs"]?.int }
}

/// Many connections at once, driven by one thread: each round sends one request on every connection before it reads any
/// answer.
struct Crowd {
    let connections: [HTTPConnection]

    init(_ servers: [TestServer], count: Int) throws {
        connections = try (0..<count).map { try servers[$0 % servers.count].connect() }
    }

    /// Sends all of `bodies` to `target` and hands over each answer.
    func post(_ target: String, _ bodies: [String], _ receive: (HTTPAnswer) throws -> Void) throws {
        var next = bodies[...]
        while !next.isEmpty {
            let round = next.prefix(connections.count)
            for (connection, body) in zip(connections, round) {
                try connection.send([HTTPConnection.encode("POST", target, body: body)])
            }
            for connection in connections.prefix(round.count) { try receive(try connection.receive()) }
            next = next.dropFirst(round.count)
        }
    }
}

extension TestServer {
    /// Waits until the server decides by this many rules.
    func knows(rules count: Int) throws -> Bool {
        let connection = try connect()
        let endUs = MonotonicClock.nowUs() + longestWaitUs
        while MonotonicClock.nowUs() < endUs {
            if try connection.request("GET", "/api/rate-limits").json?.elements.count == count { return true }
            usleep(2000)
        }
        return false
    }

    /// The sum of a metric over its labels.
    func metric(_ name: String) throws -> Int {
        let lines = try request("GET", "/metrics").text.split(separator: "\n")
        return lines.filter { $0.hasPrefix(name + " ") || $0.hasPrefix(name + "{") }
            .compactMap { Int($0.split(separator: " ").last ?? "") }.reduce(0, +)
    }
}

/// What must be the same in two answers to the same request; times are not, since they were asked at different moments.
func essence(_ decision: JSONValue?) -> String {
    let policies = (decision?["policies"]?.elements ?? []).map { policy in
        let parts = ["name", "remaining", "wouldDeny"].map { key in policy[key]?.text() ?? "-" }
        return parts.joined(separator: "/")
    }
    let rest = ["allowed", "reason", "limit", "remaining", "rule", "violated"].map { key in
        decision?[key]?.text() ?? "-"
    }
    return (rest + policies).joined(separator: " ")
}
