import Bytes
import Services
import Testing

@testable import RateLimiting

/// Whom a rule is for, found by hash and by block: the same as by looking at every identifier.
struct IdentifierIndexTests {
    private let texts = RequestTexts()

    /// What an index says of one rule: how specifically it means the request, nil if it does not.
    private func rank(_ identifiers: [String], _ request: CheckRequest) -> Int? {
        var index = IdentifierIndex()
        let place = index.addPlace()
        index.insert(0, at: place, identifiers: identifiers)
        var hits: [IdentifierIndex.Hit] = []
        index.find([place], request, &hits)
        return hits.map { Int($0.rank) }.max()
    }

    @Test func anUnmarkedNameIsMeantInEveryNamespace() {
        #expect(rank(["ann"], texts.request(id: "ann")) == 200)
        #expect(rank(["ann"], texts.request(user: "ann")) == 200)
        #expect(rank(["ann"], texts.request(user: "anna")) == nil)
        #expect(rank(["ann"], texts.request(user: "an")) == nil)
    }

    @Test func aMarkedNameIsMeantInItsOwn() {
        let names = ["user:ann", "id:ben"]
        #expect(rank(names, texts.request(user: "ann")) == 200)
        #expect(rank(names, texts.request(id: "ann")) == nil)
        #expect(rank(names, texts.request(id: "user:ann")) == nil)
        #expect(rank(names, texts.request(id: "ben")) == 200)
        #expect(rank(names, texts.request(key: "ann")) == nil)
    }

    @Test func apiKeysMatchByTheirDigest() {
        let canonical = IdentifierMatcher.canonical("key:s3cret")
        #expect(rank([canonical], texts.request(key: "s3cret")) == 200)
        #expect(rank([canonical], texts.request(key: "S3cret")) == nil)
        #expect(rank([canonical], texts.request(user: "s3cret")) == nil)
        #expect(IdentifierMatcher.canonical(canonical) == canonical, "what is stored reads back the same")
    }

    @Test func addressesMatchByBlockWhateverTheIdentityIs() {
        let blocks = ["192.0.2.0/24", "ip:2001:db8::/32", "10.0.0.1"]
        #expect(rank(blocks, texts.request(ip: "192.0.2.9")) == 25)
        #expect(rank(blocks, texts.request(ip: "::ffff:192.0.2.9")) == 25)
        #expect(rank(blocks, texts.request(user: "ann", ip: "192.0.2.9")) == 25)
        #expect(rank(blocks, texts.request(ip: "192.0.3.9")) == nil)
        #expect(rank(blocks, texts.request(ip: "2001:db8:9::1")) == 33)
        #expect(rank(blocks, texts.request(ip: "10.0.0.1")) == 33)
        #expect(rank(blocks, texts.request(ip: "10.0.0.2")) == nil)
        #expect(rank(blocks, texts.request(user: "192.0.2.9")) == nil, "a user's name is no address")
    }

    @Test func theNarrowestBlockCountsAndANameIsNarrower() {
        let mixed = ["10.0.0.0/8", "10.1.0.0/16", "0.0.0.0/0", "user:ann"]
        #expect(rank(mixed, texts.request(ip: "10.1.2.3")) == 17)
        #expect(rank(mixed, texts.request(ip: "10.2.2.3")) == 9)
        #expect(rank(mixed, texts.request(ip: "11.2.2.3")) == 1)
        #expect(rank(mixed, texts.request(user: "ann", ip: "10.1.2.3")) == 200)
    }

    /// A request meets the rules that are for it and no others, however many there are.
    @Test func onlyTheRulesOfARequestAreLookedAt() throws {
        let rules = try (0..<500).map { i in
            let who = i.isMultiple(of: 2) ? "user:u\(i)" : "10.\(i / 256).\(i % 256).0/24"
            return try Samples.rule("r\(i)", #""match":{"identifier":"\#(who)","endpoint":"/p\#(i % 7)*"}"#)
        }
        let set = Samples.set(rules)
        func met(_ request: CheckRequest) -> [String] {
            var found: [Int32] = []
            var hits: [IdentifierIndex.Hit] = []
            set.find(request, &found, &hits)
            #expect(found.count == 1)
            return hits.map { set.compiled[Int($0.rule)].rule.name }
        }
        #expect(met(texts.request(user: "u200", endpoint: "/p4/x")) == ["r200"])
        #expect(met(texts.request(user: "u200", endpoint: "/p5/x")) == [])
        #expect(met(texts.request(user: "u200", ip: "10.0.201.1", endpoint: "/p4/x")) == ["r200"])
        #expect(met(texts.request(user: "x", ip: "10.0.201.1", endpoint: "/p5")) == ["r201"])
    }

    /// Random rules, by name, by block and for anybody, at random endpoints: the winners are those that a plain search finds.
    @Test(arguments: Array(1...20) as [UInt64])
    func agreesWithAPlainSearch(_ seed: UInt64) throws {
        var random = SplitMix64(seed)
        let names = [
            "ann", "user:ann", "id:ann", "ben", "user:ben", "10.0.0.0/8", "10.1.0.0/16", "ip:10.1.2.3", "::/0",
        ]
        let rules = try (0..<40).map { i in
            var match: [String] = []
            if random.below(4) > 0 {
                let some = (0...random.below(3)).map { _ in "\"\(random.element(names))\"" }
                match.append("\"identifier\":[\(some.joined(separator: ","))]")
            }
            if random.below(3) == 0 { match.append(#""endpoint":"\#(random.element(["/a", "/a/*", "/{x}", "/*"]))""#) }
            if random.below(4) == 0 { match.append(#""tier":"\#(random.element(["x", "y"]))""#) }
            let kind = random.element(["", "", "", #","unlimited":true"#])
            return try Samples.rule(
                "r\(i)", #""group":"\#(random.element(["g", "h"]))","match":{\#(match.joined(separator: ","))}\#(kind)"#
            )
        }
        let matcher = Matcher(Samples.set(rules))
        for _ in 0..<300 {
            let ip = random.element([nil, "10.1.2.3", "10.2.0.1", "11.0.0.1", "2001:db8::1"])
            let name = random.element(["ann", "ben", "cid"])
            let isUser = random.below(2) == 0
            let request = texts.request(
                id: isUser ? nil : name, user: isUser ? name : nil, ip: ip,
                endpoint: random.element(["", "/a", "/a/b", "/c"]), tier: random.element(["x", ""]))
            let found =
                switch matcher.match(request) {
                case .limits(let policies): policies.rules.map(\.rule.name).joined(separator: " ")
                default: "no-rule"
                }
            let expected = PlainSearch.outcome(rules, request)
            guard found == expected else {
                Issue.record("seed \(seed): \(found), not \(expected)")
                return
            }
        }
    }
}
