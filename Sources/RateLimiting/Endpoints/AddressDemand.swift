import Services

extension Limiter {
    /// Refuses a request whose address is not known when a rule counts by addresses: all such requests would share one
    /// counter, and whoever uses it up would refuse everybody.
    /// - Parameter field: what would tell the address.
    func demandAddress(of request: CheckRequest, field: @autoclosure () -> String) throws(Problem) {
        guard request.address == nil, rules.countsByAddress, !request.isOwnAPI else { return }
        guard case .limits(let policies) = matcher.match(request) else { return }
        for (i, rule) in policies.rules.enumerated() where policies.isEnforcing(i) && rule.rule.per.contains(.ip) {
            throw .impossible(field(), "is required by the rule \(rule.rule.name), which counts by address")
        }
    }
}
