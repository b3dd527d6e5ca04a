import Bytes
import Services

/// The limit headers of an answer: the IETF draft's two (draft-ietf-httpapi-ratelimit-headers-11) and the older three; on
/// refusals `Retry-After` and `Cache-Control`.
enum DecisionHeaders {
    /// Appends the header lines.
    /// - Parameter templates: the decision's.
    static func write(_ decision: Decision, _ templates: DecisionTemplates?, to headers: ByteBuffer) {
        if let templates,
            let template = decision.isAllowed ? templates.allowedHeaders : templates.refusedHeaders
        {
            template.write(decision, to: headers)
        } else {
            writeWhole(decision, to: headers)
        }
    }

    /// The same line by line.
    static func writeWhole(_ decision: Decision, to headers: ByteBuffer) {
        if let policies = decision.policies, let headline = decision.headline {
            headers.append("RateLimit-Policy: ")
            for i in 0..<policies.enforcingCount {
                if i > 0 { headers.append(", ") }
                headers.append(policies.rules[i].policyHeader)
            }
            headers.append("\r\nRateLimit: ")
            for i in 0..<policies.enforcingCount {
                if i > 0 { headers.append(", ") }
                let outcome = decision.outcome(i)
                headers.append(policies.rules[i].headerName)
                headers.append(";r=")
                headers.append(decimal: outcome.remaining)
                headers.append(";t=")
                let waitUs = outcome.verdict == .refused ? outcome.retryUs : outcome.resetUs
                headers.append(decimal: waitUs.dividedRoundingUp(by: 1_000_000))
            }
            headers.append("\r\n")
            let outcome = decision.outcome(headline)
            line("X-RateLimit-Limit", policies.rules[headline].strategy!.capacity, to: headers)
            line("X-RateLimit-Remaining", outcome.remaining, to: headers)
            if let resetAtUs = decision.resetAtUs(headline) {
                line("X-RateLimit-Reset", resetAtUs.dividedRoundingUp(by: 1_000_000), to: headers)
            }
        }
        guard !decision.isAllowed else { return }
        if let retryUs = decision.retryUs {
            line("Retry-After", retryUs.dividedRoundingUp(by: 1_000_000), to: headers)
        } else if decision.reason == .storeUnavailable {
            line("Retry-After", 1, to: headers)
        }
        headers.append("Cache-Control: no-store\r\n")
    }

    private static func line(_ name: StaticString, _ value: Int, to headers: ByteBuffer) {
        headers.append(name)
        headers.append(": ")
        headers.append(decimal: value)
        headers.append("\r\n")
    }
}
