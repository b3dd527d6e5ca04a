import Bytes
import Services

/// The limit headers of an answer: the IETF draft's two (draft-ietf-httpapi-ratelimit-headers-11) and the older three; on
/// refusals `Retry-After` and `Cache-Control`.
enum DecisionHeaders {
    /// The largest integer of a structured field (RFC 9651, 3.3.1): fifteen digits.
    static let largestInteger = 999_999_999_999_999

    /// Proxies answer 500 when an answer's head is beyond a few KB, so there is an end to what the draft's two fields take.
    private static let mostPolicies = 8
    private static let mostBytes = 880
    /// What an item takes beside its name: `, `, `;r=`, `;t=`, two integers.
    private static let itemBytes = 38

    /// Whether both fields hold all of these rules.
    static func holds(_ rules: ArraySlice<CompiledRule>) -> Bool {
        rules.count <= mostPolicies && rules.reduce(0) { $0 + bytes($1) } <= mostBytes
    }

    private static func bytes(_ rule: CompiledRule) -> Int {
        rule.policyHeader.count + rule.headerName.count + itemBytes
    }

    /// The rules that the draft's fields name, in order, where there is no room for all: those that refuse and those with the
    /// least remaining.
    private static func shown(_ decision: Decision, _ policies: PolicySet) -> [Int] {
        func urgency(_ i: Int) -> (Int, Int, Int) {
            let outcome = decision.outcome(i)
            switch outcome.verdict {
            case .exceeds: return (0, 0, i)
            case .refused, .broken: return (1, -outcome.retryUs, i)
            case .allowed: return (2, outcome.remaining, i)
            }
        }
        var room = mostBytes
        var shown: [Int] = []
        for i in (0..<policies.enforcingCount).sorted(by: { urgency($0) < urgency($1) }) {
            room -= bytes(policies.rules[i])
            if room < 0 || shown.count == mostPolicies { break }
            shown.append(i)
        }
        return shown.sorted()
    }

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
            if policies.fitsHeaders {
                fields(0..<policies.enforcingCount, decision, policies, to: headers)
            } else {
                fields(shown(decision, policies), decision, policies, to: headers)
            }
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

    /// The draft's two fields, with these of the rules.
    private static func fields(
        _ shown: some Collection<Int>, _ decision: Decision, _ policies: PolicySet, to headers: ByteBuffer
    ) {
        headers.append("RateLimit-Policy: ")
        for (place, i) in shown.enumerated() {
            if place > 0 { headers.append(", ") }
            headers.append(policies.rules[i].policyHeader)
        }
        headers.append("\r\nRateLimit: ")
        for (place, i) in shown.enumerated() {
            if place > 0 { headers.append(", ") }
            let outcome = decision.outcome(i)
            headers.append(policies.rules[i].headerName)
            headers.append(";r=")
            headers.append(decimal: min(outcome.remaining, largestInteger))
            // Places come free when somebody goes, not when a time has passed.
            if policies.rules[i].takesLease { continue }
            headers.append(";t=")
            let waitUs = outcome.verdict == .refused ? outcome.retryUs : outcome.resetUs
            headers.append(decimal: waitUs.dividedRoundingUp(by: 1_000_000))
        }
        headers.append("\r\n")
    }

    private static func line(_ name: StaticString, _ value: Int, to headers: ByteBuffer) {
        headers.append(name)
        headers.append(": ")
        headers.append(decimal: value)
        headers.append("\r\n")
    }
}
