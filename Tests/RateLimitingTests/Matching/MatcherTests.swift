import Bytes
import Testing

@testable import RateLimiting

struct MatcherTests {
    private let texts = RequestTexts()

    /// What the rules say, as text: `no-rule`, `allow a`, `deny a`, or the rules counted under, shadow ones in brackets.
    private func outcome(_ rules: [Rule], _ request: CheckRequest) -> String {
        let matcher = Matcher(Samples.set(rules))
        let first = describe(matcher.match(request))
        #expect(describe(matcher.match(request)) == first, "the same again from what is remembered")
        return first
    }

    private func describe(_ result: MatchResult) -> String {
        switch result {
        case .noRule: "no-rule"
        case .allowListed(let rule): "allow \(rule.rule.name)"
        case .denyListed(let rule): "deny \(rule.rule.name)"
        case .limits(let policies):
            policies.rules.enumerated().map {
                policies.isEnforcing($0) ? $1.rule.name : "(\($1.rule.name))"
            }.joined(separator: " ")
        }
    }

    @Test func withoutAMatchThereIsNoRule() throws {
        let ann = texts.request(id: "ann", endpoint: "/a", method: "GET", tier: "gold")
        #expect(outcome([], ann) == "no-rule")
        for match in [
            #"{"identifier":"ben"}"#, #"{"endpoint":"/b"}"#, #"{"method":"POST"}"#, #"{"tier":"silver"}"#,
            #"{"identifier":"ann","endpoint":"/a","method":"GET","tier":"none"}"#,
        ] {
            #expect(outcome([try Samples.rule("r", #""match":\#(match)"#)], ann) == "no-rule", "\(match)")
        }
        #expect(outcome([try Samples.rule("r")], ann) == "r")
        #expect(outcome([try Samples.rule("r", #""enabled":false"#)], ann) == "no-rule")
    }

    /// Within a group the most specific rule wins: identifier before tier before endpoint before method.
    @Test func theMostSpecificOfAGroupCounts() throws {
        let ann = texts.request(user: "ann", ip: "10.1.2.3", endpoint: "/a/b", method: "GET", tier: "gold")
        let ordered = [
            #"{"identifier":"ann","tier":"gold"}"#, #"{"identifier":"ann","endpoint":"/a/b","method":"GET"}"#,
            #"{"identifier":"ann"}"#, #"{"identifier":"10.1.2.3"}"#, #"{"identifier":"10.0.0.0/8","tier":"gold"}"#,
            #"{"identifier":"10.0.0.0/8"}"#, #"{"identifier":"0.0.0.0/0"}"#,
            #"{"tier":"gold","endpoint":"/a/b","method":"GET"}"#, #"{"tier":"gold"}"#,
            #"{"endpoint":"/a/b","method":"GET"}"#, #"{"endpoint":"/a/b"}"#, #"{"endpoint":"/a/{x}"}"#,
            #"{"endpoint":"/a/*","method":"GET"}"#, #"{"endpoint":"/a/*"}"#, #"{"endpoint":"/*"}"#,
            #"{"method":"GET"}"#,
            "{}",
        ]
        let rules = try ordered.enumerated().map { i, match in
            try Samples.rule("r\(i)", #""group":"g","match":\#(match)"#)
        }
        for i in rules.indices {
            #expect(outcome(Array(rules[i...]), ann) == "r\(i)")
            #expect(outcome(rules[i...].reversed(), ann) == "r\(i)", "whatever the order of creation")
        }
    }

    @Test func ofEquallySpecificRulesTheOlderCounts() throws {
        let rules = try ["x", "y"].map { try Samples.rule($0, #""group":"g""#) }
        #expect(outcome(rules, texts.request(id: "a")) == "x")
        #expect(outcome(rules.reversed(), texts.request(id: "a")) == "y")
    }

    @Test func everyGroupHasItsWinner() throws {
        let rules = [
            try Samples.rule("a1", #""group":"a""#), try Samples.rule("b1", #""group":"b""#),
            try Samples.rule("a2", #""group":"a","match":{"identifier":"ann"}"#), try Samples.rule("alone"),
        ]
        #expect(outcome(rules, texts.request(id: "ben")) == "a1 b1 alone")
        #expect(outcome(rules, texts.request(id: "ann")) == "b1 a2 alone")
    }

    @Test func shadowRulesAreChosenApartAndComeLast() throws {
        let rules = [
            try Samples.rule("s1", #""group":"g","mode":"shadow""#),
            try Samples.rule("e1", #""group":"g""#),
            try Samples.rule("s2", #""group":"g","mode":"shadow","match":{"identifier":"ann"}"#),
            try Samples.rule("e2", #""group":"h""#),
        ]
        #expect(outcome(rules, texts.request(id: "ben")) == "e1 e2 (s1)")
        #expect(outcome(rules, texts.request(id: "ann")) == "e1 e2 (s2)")
        #expect(outcome([rules[0]], texts.request(id: "ben")) == "(s1)")
    }

    @Test func denyBeforeAllowBeforeLimit() throws {
        let limit = try Samples.rule("limit")
        let allow = try Samples.rule("allow", #""action":"allow","match":{"identifier":"ann"}"#)
        let deny = try Samples.rule("deny", #""action":"deny","match":{"endpoint":"/*"}"#)
        let rules = [limit, allow, deny]
        #expect(outcome(rules, texts.request(id: "ann", endpoint: "/x")) == "deny deny")
        #expect(outcome(rules, texts.request(id: "ann")) == "allow allow")
        #expect(outcome(rules, texts.request(id: "ben")) == "limit")
    }

    @Test func listsInShadowDecideNothing() throws {
        let rules = [
            try Samples.rule("limit"), try Samples.rule("allow", #""action":"allow","mode":"shadow""#),
            try Samples.rule("deny", #""action":"deny","mode":"shadow""#),
        ]
        #expect(outcome(rules, texts.request(id: "ann")) == "limit")
    }

    @Test func unlimitedLiftsItsOwnGroupOnly() throws {
        let rules = [
            try Samples.rule("g1", #""group":"g""#), try Samples.rule("h1", #""group":"h""#),
            try Samples.rule("vip", #""group":"g","unlimited":true,"match":{"identifier":"ann"}"#),
            try Samples.rule("s1", #""group":"g","mode":"shadow""#),
        ]
        #expect(outcome(rules, texts.request(id: "ann")) == "h1 (s1)")
        #expect(outcome(rules, texts.request(id: "ben")) == "g1 h1 (s1)")
        #expect(outcome([rules[0], rules[2]], texts.request(id: "ann")) == "no-rule")
        // Less specific than the group's limit, it lifts nothing.
        let narrow = try Samples.rule("narrow", #""group":"g","match":{"identifier":"ann","tier":"t"}"#)
        #expect(outcome([rules[2], narrow], texts.request(id: "ann", tier: "t")) == "narrow")
    }

    @Test func ourOwnAPIHasRulesOfItsOwn() throws {
        let rules = [
            try Samples.rule("own", #""group":"quartermaster""#),
            try Samples.rule("own-admin", #""group":"quartermaster:admin""#), try Samples.rule("site"),
            try Samples.rule("similar", #""group":"quartermasters""#),
        ]
        var request = texts.request(id: "ann")
        #expect(outcome(rules, request) == "site similar")
        request.isOwnAPI = true
        #expect(outcome(rules, request) == "own own-admin")
        #expect(Samples.set(rules).guardsOwnAPI)
        #expect(!Samples.set([rules[2]]).guardsOwnAPI)
    }

    @Test func policySetsAreOneObjectPerCombination() throws {
        let matcher = Matcher(
            Samples.set([
                try Samples.rule("a"), try Samples.rule("b", #""match":{"tier":"x"}"#),
                try Samples.rule("c", #""match":{"tier":"y"}"#),
            ]))
        func policies(_ tier: String) throws -> PolicySet {
            guard case .limits(let set) = matcher.match(texts.request(id: "i", tier: tier)) else {
                throw CancellationError()
            }
            return set
        }
        #expect(try policies("x") === policies("x"))
        #expect(try policies("x") !== policies("y"))
        #expect(try policies("") === policies("z"))
        #expect(try policies("x").mostRequestsPerCall == 50)
        #expect(try policies("").mostRequestsPerCall == 100)
    }

    /// Random rules and requests: the winners are those that a plain search of all rules finds.
    @Test(arguments: Array(1...10) as [UInt64])
    func agreesWithAPlainSearch(_ seed: UInt64) throws {
        var random = SplitMix64(seed)
        let rules = try (0..<25).map { i in
            var match: [String] = []
            if random.below(3) == 0 { match.append(#""identifier":"\#(random.element(["ann", "ben"]))""#) }
            if random.below(3) == 0 { match.append(#""endpoint":"\#(random.element(["/a", "/a/*", "/{x}", "/*"]))""#) }
            if random.below(3) == 0 { match.append(#""method":"\#(random.element(["GET", "PUT"]))""#) }
            if random.below(3) == 0 { match.append(#""tier":"\#(random.element(["x", "y"]))""#) }
            let mode = random.below(3) == 0 ? "shadow" : "enforce"
            let group = random.element(["g", "h", "i", "j"])
            let kind = random.below(6) == 0 ? #","unlimited":true"# : ""
            return try Samples.rule(
                "r\(i)", #""group":"\#(group)","mode":"\#(mode)","match":{\#(match.joined(separator: ","))}\#(kind)"#)
        }
        for _ in 0..<200 {
            let request = texts.request(
                id: random.element(["ann", "ben", "cid"]), endpoint: random.element(["", "/a", "/a/b", "/c"]),
                method: random.element(["GET", "PUT", ""]), tier: random.element(["x", "y", ""]))
            let (found, expected) = (outcome(rules, request), PlainSearch.outcome(rules, request))
            guard found == expected else {
                Issue.record("seed \(seed): \(found), not \(expected)")
                return
            }
        }
    }
}
