import Bytes
import HTTP
import Services

/// Turns decisions into answers: status, limit headers, body.
enum DecisionReply {
    /// The answer of the check route: 200 or 429 with the decision, 503 when the store failed and the rule says deny.
    static func send(_ decision: Decision, receipt: String? = nil, to exchange: Exchange) {
        exchange.beginReply(status(decision))
        addHeaders(decision, to: exchange)
        exchange.finishReply(contentType: decision.isAllowed ? "application/json" : "application/problem+json") {
            DecisionJSON.write(decision, receipt: receipt, withProblem: true, to: $0)
        }
    }

    /// The answer of forward auth: an empty 200, or the refusal.
    /// - Parameter refusalStatus: one status for every refusal, for proxies that know only some; nil for the true one.
    static func sendAuthorization(_ decision: Decision, refusalStatus: Int?, to exchange: Exchange) {
        guard !decision.isAllowed else {
            exchange.beginReply(200)
            addHeaders(decision, to: exchange)
            exchange.finishReply(contentType: nil) { _ in }
            return
        }
        exchange.beginReply(refusalStatus ?? status(decision))
        addHeaders(decision, to: exchange)
        exchange.addHeader("X-RateLimit-Reason", decision.reason.rawValue)
        exchange.finishReply(contentType: "application/problem+json") {
            DecisionJSON.write(decision, withProblem: true, to: $0)
        }
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

    static func addHeaders(_ decision: Decision, to exchange: Exchange) {
        exchange.addHeaderLines { DecisionHeaders.write(decision, to: $0) }
    }
}
