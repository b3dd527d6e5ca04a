import Bytes
import Services
import Testing

@testable import RateLimiting

struct ReceiptTests {
    @Test func rulesOfSeveralNodesHaveTimesOfTheirOwn() throws {
        let policies = Samples.policies([try Samples.rule("a"), try Samples.rule("b"), try Samples.rule("c")])
        let outcome = Outcome(verdict: .allowed, remaining: 1, resetUs: 5, retryUs: 0)
        let decision = Decision(
            isAllowed: true, reason: .allowed, nowUs: 300, policies: policies, first: outcome,
            others: [outcome, outcome], hasOutcomes: true,
            times: [Moment(us: 100), Moment(us: 300), Moment(us: 200, ordinal: 7)])
        let receipt = try #require(Receipt(decision, cost: 2))
        #expect(receipt.text == "300-2-a:1:100,b:1,c:1:200.7")
        #expect(try Receipt(text: receipt.text).rules.map(\.moment.us) == [100, 300, 200])
        #expect(try Receipt(text: receipt.text).rules[2].moment.ordinal == 7)
        #expect(decision.resetAtUs(0) == 105 && decision.resetAtUs(2) == 205)
    }

    @Test func readsBackWhatItWrites() throws {
        let policies = Samples.policies([try Samples.rule("api-burst", generation: 3), try Samples.rule("daily")])
        let decision = Decision(
            isAllowed: true, reason: .allowed, nowUs: 1_700_000_000_000_000, policies: policies, others: [.none],
            hasOutcomes: true, ordinal: 3)
        let receipt = try #require(Receipt(decision, cost: 5))
        #expect(receipt.text == "1700000000000000.3-5-api-burst:3,daily:1")
        #expect(try Receipt(text: receipt.text) == receipt)
    }

    @Test func onlyWhatWasConsumedHasOne() throws {
        let policies = Samples.policies([try Samples.rule("shadow")], enforcingCount: 0)
        let refused = Outcome(verdict: .refused, remaining: 0, resetUs: 1, retryUs: 1)
        var decision = Decision(isAllowed: true, reason: .allowed, nowUs: 5, policies: policies)
        #expect(Receipt(decision, cost: 1) == nil, "Redis did not answer")
        decision.hasOutcomes = true
        #expect(Receipt(decision, cost: 1) != nil)
        decision.first = refused
        #expect(Receipt(decision, cost: 1) == nil, "no rule counted it")
        decision.first = .none
        decision.isAllowed = false
        #expect(Receipt(decision, cost: 1) == nil)
    }

    @Test(arguments: [
        "", "-", "5", "5-1", "5-1-", "5-1-,", "x-1-a:1", "5-x-a:1", "5-0-a:1", "-5-1-a:1", "0-1-a:1", "5-1-a",
        "5-1-a:x", "5-1-a:1:0", "5-1-a:1:x", "5-1-a:1:2:3", "5-1-a:1,b", "5.-1-a:1", "5.x-1-a:1", "5.-1-1-a:1",
        "5.1.1-1-a:1", "5-1-a:1:5.-1", "5-1000000001-a:1", "5--1-a:1",
    ])
    func inventedOnesAreRefused(_ text: String) {
        let problem = #expect(throws: Problem.self, "\(text)") { try Receipt(text: text) }
        #expect(problem?.field == "receipt")
    }
}

struct LeaseIDTests {
    @Test(arguments: [
        "{user:42}:uploads:17", "{id:a%3Ab%2A%28}:r:1", "{ip:2001%3Adb8%3A%3A%2F64}:r:1:GET:%2Fa", "{global}:r:1",
    ])
    func readsBackWhatItWrites(_ key: String) throws {
        let lease = LeaseID(member: "0123456789abcdef-12", key: key)
        #expect(LeaseID(text: lease.text) == lease)
        // As it stands in the path of a URL.
        #expect(lease.text.utf8.allSatisfy { $0.isDigit || "-._~@()*:".utf8.contains($0) || isLetter($0) })
    }

    @Test func namesTheRuleAndItsGeneration() throws {
        let rule = LeaseID(member: "a", key: "{user:42}:uploads:17:GET").rule
        #expect(rule?.id == "uploads" && rule?.generation == 17)
        #expect(LeaseID(member: "a", key: "{user:42}:uploads:x").rule == nil)
        #expect(LeaseID(member: "a", key: "{rules}:rules").rule == nil)
    }

    @Test(arguments: [
        "", ".", "abc", "abc.", ".(a):r:1", "abc.a:r:1", "xyz.(a):r:1", "ABC.(a):r:1", "abc.(a:r:1",
        "0123456789abcdef0123456789abcdef0.(a):r:1",
    ])
    func inventedOnesAreRefused(_ text: String) { #expect(LeaseID(text: text) == nil) }

    private func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7A).contains(byte | 0x20) }
}

struct DecisionTests {
    private func decision(allowed: Bool, _ outcomes: [Outcome]) throws -> Decision {
        let rules = try outcomes.indices.map { try Samples.rule("r\($0)") }
        return Decision(
            isAllowed: allowed, reason: .allowed, policies: Samples.policies(rules), first: outcomes[0],
            others: Array(outcomes.dropFirst()), hasOutcomes: true)
    }

    private func outcome(_ verdict: Outcome.Verdict, left: Int = 0, retry: Int = 0) -> Outcome {
        Outcome(verdict: verdict, remaining: left, resetUs: 0, retryUs: retry)
    }

    @Test func theHeadlineOfAnAdmissionHasTheLeastLeft() throws {
        let allowed = try decision(allowed: true, [5, 2, 2, 9].map { outcome(.allowed, left: $0) })
        #expect(allowed.headline == 1)
        #expect(allowed.retryUs == nil)
    }

    @Test func theHeadlineOfARefusalHasTheLongestWait() throws {
        let refused = try decision(
            allowed: false,
            [outcome(.allowed, left: 0), outcome(.refused, left: 1, retry: 5), outcome(.refused, left: 1, retry: 9)])
        #expect(refused.headline == 2)
        #expect(refused.retryUs == 9)
    }

    @Test func refusedForGoodIsTheLongestWaitAndHasNone() throws {
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            let kinds = [outcome(.refused, retry: 5), outcome(.exceeds), outcome(.refused, retry: 99)]
            let refused = try decision(allowed: false, order.map { kinds[$0] })
            #expect(order[try #require(refused.headline)] == 1)
            #expect(refused.retryUs == nil)
        }
    }

    @Test func shadowRulesAreNoHeadline() throws {
        var shadow = try decision(allowed: true, [outcome(.refused, left: 0)])
        shadow.policies = Samples.policies([try Samples.rule("s")], enforcingCount: 0)
        #expect(shadow.headline == nil)
    }
}
