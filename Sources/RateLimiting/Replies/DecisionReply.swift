import Bytes
import HTTP
import JSON
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
    /// - Parameters:
    ///   - refusalStatus: one status for every refusal, for proxies that know only some; nil for the true one.
    ///   - skipsLeases: concurrency rules were not asked.
    static func sendAuthorization(
        _ decision: Decision, refusalStatus: Int?, _ skipsLeases: Bool, to exchange: Exchange
    ) {
        guard !decision.isAllowed else {
            exchange.reply(
                200, contentType: nil,
                headerLines: {
                    DecisionHeaders.write(decision, decision.templates, to: $0)
                    if skipsLeases { $0.append(skippedLine) }
                },
                body: { _ in })
            return
        }
        let templates = decision.templates
        exchange.reply(
            refusalStatus ?? status(decision), contentType: "application/problem+json",
            headerLines: {
                DecisionHeaders.write(decision, templates, to: $0)
                $0.append("X-RateLimit-Reason: \(decision.reason.rawValue)\r\n")
                if skipsLeases { $0.append(skippedLine) }
            },
            body: { DecisionJSON.write(decision, templates, withProblem: true, to: $0) })
    }

    /// A call to our own API that limits refuse: a plain problem, which nobody takes for a decision about something else.
    /// - Parameter status: as `refusalStatus` above.
    static func sendOwnRefusal(_ decision: Decision, status: Int? = nil, to exchange: Exchange) {
        let problem = problem(decision)
        exchange.beginReply(status ?? problem.kind.status)
        exchange.addHeader("Cache-Control", "no-store")
        if let seconds = problem.retryAfterS { exchange.addHeader("Retry-After", decimal: seconds) }
        if status != nil { exchange.addHeader("X-RateLimit-Reason", decision.reason.rawValue) }
        exchange.finishReply(contentType: "application/problem+json") { body in
            var json = JSONWriter(body)
            json.beginObject()
            ProblemReply.writeFields(problem, to: &json)
            json.endObject()
        }
    }

    private static let skippedLine: StaticString = "X-RateLimit-Skipped: concurrency\r\n"

    private static func status(_ decision: Decision) -> Int {
        if decision.isAllowed { return 200 }
        return decision.reason == .storeUnavailable
            ? Problem.Kind.unavailable.status : Problem.Kind.tooManyRequests.status
    }

    /// What a refusal is, as a problem.
    static func problem(_ decision: Decision) -> Problem {
        let rule = (decision.decider ?? decision.headline.flatMap { decision.policies?.rules[$0] })?.rule.name ?? ""
        switch decision.reason {
        case .denyListed: return Problem(.tooManyRequests, "refused by the rule \(rule)")
        case .costExceedsLimit:
            return Problem(.tooManyRequests, "the cost is above what the rule \(rule) ever allows at once")
        case .storeUnavailable:
            return Problem(
                .unavailable, "the store did not answer in time, and the rule \(rule) refuses then", retryAfterS: 1)
        default:
            return Problem(
                .tooManyRequests, "the rule \(rule) has too little left for this request",
                retryAfterS: decision.retryUs?.dividedRoundingUp(by: 1_000_000))
        }
    }
}
