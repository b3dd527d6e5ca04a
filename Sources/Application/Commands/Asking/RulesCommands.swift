import HTTP
import JSON

/// `rules apply FILE` and `rules export`: rules of a running service as a file, for version control.
extension ServiceCommand {
    static let rules: [ServiceCommand] = [
        ServiceCommand(
            "rules apply", ["FILE"], flags: [Flag("prune", nil, "delete the rules that the file does not name")],
            help: "bring a running service's rules to what a file says (-: standard input)", run: applyRules),
        ServiceCommand("rules export", help: "print a running service's rules as such a file", run: exportRules),
    ]

    private static func applyRules(_ asking: Asking) throws -> ExitCode {
        let body = try Files.read(asking.words[0])
        let target = "/api/rate-limits/apply" + (asking.arguments.has("prune") ? "?prune=true" : "")
        return try asking.show(asking.service.send(.post, target, body: body).json) { reply in
            guard let count = reply.integer("changed") else { throw CommandFailure.notUnderstood }
            return count == 1 ? "1 rule changed" : "\(count) rules changed"
        }
    }

    /// All rules, without what only one service's history knows.
    private static func exportRules(_ asking: Asking) throws -> ExitCode {
        let own: Set<String> = ["id", "version", "generation", "createdAt", "updatedAt"]
        let (all, _) = try asking.service.list("/api/rate-limits", { "?limit=\($0)" }, most: .max)
        let rules = all.map { rule in
            guard case .object(let members) = rule else { return rule }
            return JSONValue.object(members.filter { !own.contains($0.key) })
        }
        Output.line(JSONValue.object([.init("rules", .array(rules))]).text(pretty: true))
        return .success
    }
}
