import Bytes
import JSON
import Services
import Testing

@testable import RateLimiting

struct RuleDraftTests {
    @Test func defaults() throws {
        let draft = try Samples.draft(#"{"name":"api","strategy":"token_bucket","limit":5,"window":"1s"}"#)
        #expect(draft.name == "api")
        #expect(draft.isEnabled && draft.mode == .enforce && draft.group == nil)
        #expect(draft.effect == .limit(.tokenBucket(limit: 5, windowMs: 1000, burst: 5, initial: 5)))
        #expect(draft.match == .everything && draft.per == [.identifier])
        #expect(draft.onStoreFailure == .allow && draft.idleBurst == nil)
    }

    @Test func everyStrategy() throws {
        func strategy(_ members: String) throws -> Strategy? {
            guard case .limit(let strategy) = try Samples.draft("{\(members)}").effect else { return nil }
            return strategy
        }
        #expect(
            try strategy(#""strategy":"token_bucket","limit":5,"window":1000,"burst":10,"initial":0"#)
                == .tokenBucket(limit: 5, windowMs: 1000, burst: 10, initial: 0))
        #expect(
            try strategy(#""strategy":"sliding_window","limit":5,"window":"1m""#)
                == .slidingWindow(limit: 5, windowMs: 60_000))
        #expect(
            try strategy(#""strategy":"sliding_window_counter","limit":5,"window":"1h""#)
                == .slidingWindowCounter(limit: 5, windowMs: 3_600_000))
        #expect(
            try strategy(#""strategy":"fixed_window","limit":5,"window":"366d""#)
                == .fixedWindow(limit: 5, windowMs: 366 * 86_400_000))
        #expect(
            try strategy(#""strategy":"quota","limit":5,"period":"week""#)
                == .quota(limit: 5, period: .week, timeZone: "UTC"))
        #expect(
            try strategy(#""strategy":"quota","limit":5,"period":"day","timeZone":"Asia/Kolkata""#)
                == .quota(limit: 5, period: .day, timeZone: "Asia/Kolkata"))
        #expect(
            try strategy(#""strategy":"concurrency","limit":5,"maxLeaseMs":"30s""#)
                == .concurrency(limit: 5, maxLeaseMs: 30_000))
    }

    @Test func theSourcesBurstIsKeptWhereItHasNoEffect() throws {
        let draft = try Samples.draft(#"{"strategy":"fixed_window","limit":5,"window":1000,"burst":7}"#)
        #expect(draft.idleBurst == 7)
        #expect(draft.effect == .limit(.fixedWindow(limit: 5, windowMs: 1000)))
    }

    @Test func lists() throws {
        #expect(try Samples.draft(#"{"action":"allow"}"#).effect == .allow)
        #expect(try Samples.draft(#"{"action":"deny"}"#).effect == .deny)
        #expect(try Samples.draft(#"{"unlimited":true}"#).effect == .unlimited)
    }

    @Test func whatReadsBackIsIgnored() throws {
        _ = try Samples.draft(
            #"{"action":"deny","id":"x","version":3,"generation":9,"createdAt":"then","updatedAt":"now"}"#)
    }

    /// Every wrong value is refused by the name of its field.
    @Test(arguments: [
        // Wrong types.
        ("name", #""name":5"#), ("limit", #""limit":"5""#), ("window", #""window":true"#), ("enabled", #""enabled":1"#),
        ("mode", #""mode":1"#), ("match", #""match":[]"#), ("per", #""per":{}"#), ("strategy", #""strategy":3"#),
        ("match.endpoint", #""match":{"endpoint":1}"#), ("match.identifier[1]", #""match":{"identifier":["a",2]}"#),
        // Beyond what can be: negative, fraction, none, too much.
        ("limit", #""limit":-1"#), ("limit", #""limit":0"#), ("limit", #""limit":1.5"#), ("limit", #""limit":1e-3"#),
        ("limit", #""limit":5.01"#), ("window", #""window":0"#), ("window", #""window":-5"#),
        ("window", #""window":"0s""#), ("window", #""window":"367d""#), ("window", #""window":1.5"#),
        ("window", #""window":"soon""#), ("burst", #""burst":0"#), ("initial", #""initial":-1"#),
        ("initial", #""initial":11"#),
        // Unknown words and fields.
        ("strategy", #""strategy":"leaky""#), ("mode", #""mode":"dry""#), ("onStoreFailure", #""onStoreFailure":"x""#),
        ("colour", #""colour":1"#), ("match.path", #""match":{"path":"/x"}"#), ("per", #""per":["colour"]"#),
        ("action", #""action":"drop""#),
        // Parts that do not go together.
        ("period", #""period":"day""#), ("timeZone", #""timeZone":"UTC""#), ("maxLeaseMs", #""maxLeaseMs":5"#),
        ("strategy", #""action":"deny""#), ("strategy", #""unlimited":true"#),
        ("per", #""per":["ip","ip"]"#), ("per", #""per":["global","ip"]"#), ("per", #""per":[]"#),
        ("match.identifier", #""match":{"identifier":[]}"#),
        // Text.
        ("name", #""name":"""#), ("name", #""name":"a\u0000b""#), ("match.endpoint", #""match":{"endpoint":"x"}"#),
        ("match.endpoint", #""match":{"endpoint":"/a*/b"}"#), ("match.method", #""match":{"method":"get"}"#),
    ])
    func wrongValuesAreNamed(_ field: String, _ member: String) throws {
        var members = [
            "strategy": #""strategy":"token_bucket""#, "limit": #""limit":10"#, "window": #""window":1000"#,
        ]
        // What is wrong stands in place of what would be right.
        members[String(member.dropFirst().prefix { $0 != "\"" })] = member
        expectProblem(field, "{" + members.values.sorted().joined(separator: ",") + "}")
    }

    @Test(arguments: [
        ("strategy", #"{"limit":5,"window":"1s"}"#), ("limit", #"{"strategy":"fixed_window","window":"1s"}"#),
        ("window", #"{"strategy":"fixed_window","limit":5}"#), ("window", #"{"strategy":"token_bucket","limit":5}"#),
        ("period", #"{"strategy":"quota","limit":5}"#), ("maxLeaseMs", #"{"strategy":"concurrency","limit":5}"#),
        ("window", #"{"strategy":"quota","limit":5,"period":"day","window":"1s"}"#),
        ("window", #"{"strategy":"concurrency","limit":5,"maxLeaseMs":1,"window":"1s"}"#),
        ("initial", #"{"strategy":"fixed_window","limit":5,"window":"1s","initial":1}"#),
        ("timeZone", #"{"strategy":"quota","limit":5,"period":"day","timeZone":"Mars/Olympus"}"#),
        ("period", #"{"strategy":"quota","limit":5,"period":"decade"}"#),
        // Limit and window together beyond exact arithmetic.
        ("limit", #"{"strategy":"token_bucket","limit":9007199254740991,"window":"1h"}"#),
        ("limit", #"{"strategy":"token_bucket","limit":7,"window":"366d","burst":9007199254740991}"#),
        ("limit", #"{"strategy":"sliding_window_counter","limit":1000000000,"window":"1d"}"#),
        ("limit", #"{"strategy":"sliding_window","limit":10001,"window":"1d"}"#),
        ("limit", #"{"strategy":"concurrency","limit":10001,"maxLeaseMs":1}"#),
    ])
    func whatIsMissingOrImpossibleIsNamed(_ field: String, _ json: String) { expectProblem(field, json) }

    @Test func theNameOfTheRuleWithinAFileLeads() throws {
        let value = try #"{"limit":-1,"strategy":"quota"}"#.withByteView { try JSONValue(parsing: $0) }
        let problem = #expect(throws: Problem.self) { try RuleDraft(value, field: "rules[3]") }
        #expect(problem?.field == "rules[3].limit")
    }

    @Test(arguments: ["[]", "5", "null", "\"rule\""])
    func aRuleIsAnObject(_ json: String) {
        #expect(throws: Problem(.invalidRequest, "the body must be a JSON object")) { try Samples.draft(json) }
    }

    private func expectProblem(_ field: String, _ json: String) {
        let problem = #expect(throws: Problem.self, "\(json) was taken") { try Samples.draft(json) }
        #expect(problem?.field == field, "\(json): \(problem?.detail ?? "")")
        #expect(problem?.kind == .invalidRequest)
    }
}

/// `Strategy.refill`: a bucket's arithmetic in exact integers.
struct RefillTests {
    @Test(arguments: [(5, 1000, 1, 200_000), (1, 1, 1, 1000), (3000, 1, 3, 1), (7, 1000, 7, 1_000_000)])
    func isInLowestTerms(_ limit: Int, _ windowMs: Int, _ rate: Int, _ unit: Int) {
        let refill = Strategy.tokenBucket(limit: limit, windowMs: windowMs, burst: 1, initial: 1).refill!
        #expect(refill == (rate, unit))
        #expect(refill.rate * windowMs * 1000 == limit * refill.unit)
    }
}
