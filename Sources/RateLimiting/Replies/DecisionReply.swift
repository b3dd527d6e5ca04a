import Bytes
import HTTP
import Services

/// Turns decisions into answers: status, limit headers, body.
enum DecisionReply {
    /// The answer of the check route: 200 or 429 with the decision, 503 when the store failed and the rule says deny.
    static func send(_ decision: Decision, receipt: String? = nil, to exchange: Exchange) {
        let templates = decision.templates
        exchange.reply(
            status(decision), contentType: decision.isAllowed ? "application/json" : "application/problem+json",
            headerLines: { DecisionHeaders.write(decision, templates, to: $0) },
            body: { DecisionJSON.write(decision, templates, receipt: receipt, withProblem: true, to: $0) })
    }

    /// The answer of forward auth: an empty 200, or the refusal.
    /// - Parameter refusalStatus: one status for every refusal, for proxies that know only some; nil for the true one.
    static func sendAuthorization(_ decision: Decision, refusalStatus: Int?, to exchange: Exchange) {
        guard !decision.isAllowed else {
            exchange.reply(
                200, contentType: nil, headerLines: { DecisionHeaders.write(decision, decision.templates, to: $0) },
                body: { _ in })
            return
        }
        let templates = decision.templates
        exchange.reply(
            refusalStatus ?? status(decision), contentType: "application/problem+json",
            headerLines: {
                DecisionHeaders.write(decision, templates, to: $0)
                $0.append("X-RateLimit-Reason: \(decision.reason.rawValue)\r\n")
            },
            body: { DecisionJSON.write(decision, templates, withProblem: true, to: $0) })
    }

    private static func status(_ decision: Decision) -> Int {
        if decision.isAllowed { return 200 }
        return decision.reason == .storeUnavailable
            ? Problem.Kind.unavailable.status : Problem.Kind.tooManyRequests.status
    }

    /// What a refusal is, as a problem.
    static func problem(_ decision: Decision) -> Problem {
        let rule = decision.decider?.rule.name ?? decision.headline.map { decision.policies!.rules[$0].rule.name } ?? ""
        switch decision.reason {
        case .denyListed: return Problem(.tooManyRequests, "refused by the rule \(rule)")
        case .costExceedsLimit:
            return Problem(.tooManyRequests, "the cost is above what the rule \(rule) ever allows at once")
        case .storeUnavailable:
            return Problem(.unavailable, "the store did not answer in time, and the rule \(rule) refuses then")
        default: return Problem(.tooManyRequests, "the rule \(rule) has too little left for this request")
        }
    }
}
