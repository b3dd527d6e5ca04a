import Bytes
import JSON
import Services

/// Writes decisions as JSON: `{allowed, reason, limit, remaining, retryAfterMs, resetAfterMs, resetTime, rule,
/// policies, violated}`, with the source's `retryAfter` beside `retryAfterMs`.
enum DecisionJSON {
    /// The decision alone, as in a bulk answer.
    static func write(_ decision: Decision, to body: ByteBuffer) { write(decision, decision.templates, to: body) }

    /// - Parameters:
    ///   - templates: the decision's.
    ///   - receipt: what a refund of exactly this decision names, if it was asked for.
    ///   - withProblem: a refusal also carries the members of a problem document.
    static func write(
        _ decision: Decision, _ templates: DecisionTemplates?, receipt: String? = nil, withProblem: Bool = false,
        to body: ByteBuffer
    ) {
        if receipt == nil, let templates {
            let refused = withProblem ? templates.refusedWithProblem : templates.refused
            if let template = decision.isAllowed ? templates.allowed : refused {
                return template.write(decision, to: body)
            }
        }
        writeWhole(decision, receipt: receipt, withProblem: withProblem && !decision.isAllowed, to: body)
    }

    /// The same member by member.
    static func writeWhole(
        _ decision: Decision, receipt: String? = nil, withProblem: Bool = false, to body: ByteBuffer
    ) {
        var json = JSONWriter(body)
        json.beginObject()
        writeMembers(decision, receipt: receipt, to: &json)
        if withProblem { writeProblem(decision, to: &json) }
        json.endObject()
    }

    private static func writeMembers(_ decision: Decision, receipt: String?, to json: inout JSONWriter) {
        json.field("allowed", decision.isAllowed)
        json.field("reason", decision.reason.rawValue)
        if let headline = decision.headline, let policies = decision.policies {
            let rule = policies.rules[headline]
            let outcome = decision.outcome(headline)
            json.field("limit", rule.strategy!.capacity)
            json.field("remaining", outcome.remaining)
            if let retryUs = decision.retryUs {
                let retryMs = retryUs.dividedRoundingUp(by: 1000)
                json.field("retryAfterMs", retryMs)
                json.field("retryAfter", retryMs)
            }
            json.field("resetAfterMs", outcome.resetUs.dividedRoundingUp(by: 1000))
            if let resetAtUs = decision.resetAtUs(headline) { json.field("resetTime", Timestamp(us: Int64(resetAtUs))) }
            json.key("rule")
            rule.nameJSON.withByteView { json.raw($0) }
        } else if let decider = decision.decider {
            json.key("rule")
            decider.nameJSON.withByteView { json.raw($0) }
        }
        writePolicies(decision, to: &json)
        writeViolated("violated", decision, to: &json) { $0.nameJSON }
        if let leaseID = decision.leaseID { json.field("leaseId", leaseID) }
        if let receipt { json.field("receipt", receipt) }
    }

    /// A refusal's problem. One by limits is of the type that draft-ietf-httpapi-ratelimit-headers-11 (5.1) defines, with the
    /// policies by the names that they have in the header fields.
    private static func writeProblem(_ decision: Decision, to json: inout JSONWriter) {
        let problem = DecisionReply.problem(decision)
        switch decision.reason {
        case .limitExceeded, .costExceedsLimit:
            ProblemReply.writeFields(
                problem, type: "https://iana.org/assignments/http-problem-types#quota-exceeded",
                title: "Request cannot be satisfied as assigned quota has been exceeded", to: &json)
            writeViolated("violated-policies", decision, to: &json) { $0.headerName }
        default: ProblemReply.writeFields(problem, to: &json)
        }
    }

    private static func writeViolated(
        _ key: StaticString, _ decision: Decision, to json: inout JSONWriter, name: (CompiledRule) -> [UInt8]
    ) {
        json.key(key)
        json.beginArray()
        if let policies = decision.policies, decision.hasOutcomes, !decision.isAllowed {
            for i in 0..<policies.enforcingCount where decision.outcome(i).verdict != .allowed {
                name(policies.rules[i]).withByteView { json.raw($0) }
            }
        }
        json.endArray()
    }

    private static func writePolicies(_ decision: Decision, to json: inout JSONWriter) {
        json.key("policies")
        json.beginArray()
        if let policies = decision.policies, decision.hasOutcomes {
            for (i, rule) in policies.rules.enumerated() {
                let outcome = decision.outcome(i)
                rule.policyJSON.withByteView { json.raw($0) }
                json.field("remaining", outcome.remaining)
                if outcome.verdict == .refused {
                    json.field("retryAfterMs", outcome.retryUs.dividedRoundingUp(by: 1000))
                }
                if !policies.isEnforcing(i) { json.field("wouldDeny", outcome.verdict != .allowed) }
                json.endObject()
            }
        }
        json.endArray()
    }
}
