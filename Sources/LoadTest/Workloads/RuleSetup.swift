import Bytes
import EventLoops
import Glibc
import JSON

/// Makes the server's rules those of the workloads, and may be run again and again.
enum RuleSetup {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// Returns what was done with each rule, one line each.
    static func apply(to target: Target, token: String?) throws -> [String] {
        try apply(BenchRules.all, by: BlockingClient(target: target, token: token))
    }

    static func apply(_ wanted: [BenchRules.Rule], by client: BlockingClient) throws -> [String] {
        let list = try client.call("GET", "/api/rate-limits?limit=1000")
        guard list.status == 200, case .array(let rules)? = list.json else { throw failure("the list of rules", list) }
        return try wanted.map { rule in
            let known = rules.first { $0["name"] == .string(rule.name) }
            if case .string(let id)? = known?["id"] {
                let answer = try client.call("PUT", "/api/rate-limits/\(id)", json: rule.json)
                guard answer.status == 200 else { throw failure(rule.name, answer) }
                return "\(rule.name): set again"
            }
            let answer = try client.call("POST", "/api/rate-limits", json: rule.json)
            guard answer.status == 201 || answer.status == 200 else { throw failure(rule.name, answer) }
            return "\(rule.name): made"
        }
    }

    private static func failure(_ what: String, _ answer: BlockingClient.Answer) -> Failure {
        Failure(description: "\(what): the server answered \(answer.status): \(answer.body)")
    }
}
