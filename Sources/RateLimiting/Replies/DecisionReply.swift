import Bytes
import HTTP
import Services

/// Turns decisions into answers: status, limit headers, body.
enum DecisionReply {
    /// The answer of the check route: 200 or 429 with the decision, 503 when the store failed and the rule says deny.
    static func send(_ decision: Decision, receipt: String? = nil, to exchange: Exchange) {
        let problem = decision.isAllowed ? nil : problem(decision)
        exchange.beginReply(problem?.kind.status ?? 200)
        addHeaders(decision, to: exchange)
        exchange.finishReply(contentType: problem == nil ? "application/json" : "application/problem+json") {
            DecisionJSON.write(decision, receipt: receipt, problem: problem, to: $0)
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
        let problem = problem(decision)
        exchange.beginReply(refusalStatus ?? problem.kind.status)
        addHeaders(decision, to: exchange)
        exchange.addHeader("X-RateLimit-Reason", decision.reason.rawValue)
        exchange.finishReply(contentType: "application/problem+json") {
            DecisionJSON.write(decision, problem: problem, to: $0)
        }
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
        default: return Problem(.tooManyRequests, "the limit of the rule \(rule) is used up")
        }
    }

    /// The limit headers: the IETF draft's two and the older three; on refusals `Retry-After` and `Cache-Control`.
    static func addHeaders(_ decision: Decision, to exchange: Exchange) {
        if let policies = decision.policies, let headline = decision.headline {
            exchange.addHeader("RateLimit-Policy") { header in
                for i in 0..<policies.enforcingCount {
                    if i > 0 { header.append(", ") }
                    header.append(policies.rules[i].policyHeader)
                }
            }
            exchange.addHeader("RateLimit") { header in
                for i in 0..<policies.enforcingCount {
                    if i > 0 { header.append(", ") }
                    let outcome = decision.outcome(i)
                    header.append(policies.rules[i].headerName)
                    header.append(";r=")
                    header.append(decimal: outcome.remaining)
                    header.append(";t=")
                    let waitUs = outcome.verdict == .refused ? outcome.retryUs : outcome.resetUs
                    header.append(decimal: waitUs.dividedRoundingUp(by: 1_000_000))
                }
            }
            let outcome = decision.outcome(headline)
            exchange.addHeader("X-RateLimit-Limit", decimal: policies.rules[headline].strategy!.capacity)
            exchange.addHeader("X-RateLimit-Remaining", decimal: outcome.remaining)
            if decision.nowUs > 0 {
                exchange.addHeader(
                    "X-RateLimit-Reset", decimal: (decision.nowUs + outcome.resetUs).dividedRoundingUp(by: 1_000_000))
            }
        }
        guard !decision.isAllowed else { return }
        if let retryUs = decision.retryUs {
            exchange.addHeader("Retry-After", decimal: max(1, retryUs.dividedRoundingUp(by: 1_000_000)))
        } else if decision.reason == .storeUnavailable {
            exchange.addHeader("Retry-After", decimal: 1)
        }
        exchange.addHeader("Cache-Control", "no-store")
    }
}
