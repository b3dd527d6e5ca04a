import Bytes
import Testing

@testable import RateLimiting

struct KeyBuilderTests {
    private let texts = RequestTexts()

    private func key(_ rule: Rule, _ request: CheckRequest, prefix: String = "qm:") -> String {
        let buffer = ByteBuffer()
        KeyBuilder(prefix: prefix).append(CompiledRule(rule, index: 0), request, to: buffer)
        return buffer.view.string
    }

    private func key(per parts: String, _ request: CheckRequest) throws -> String {
        key(try Samples.rule("api", "\"per\":[\(parts)]", generation: 17), request)
    }

    @Test func readsWell() throws {
        let rule = try Samples.rule("api-burst", generation: 17)
        #expect(key(rule, texts.request(user: "42")) == "qm:ratelimit:{user:42}:api-burst:17")
        #expect(key(rule, texts.request(id: "ann"), prefix: "") == "ratelimit:{id:ann}:api-burst:17")
    }

    @Test func parts() throws {
        let ann = texts.request(user: "ann", ip: "192.0.2.1", endpoint: "/a:b", method: "GET", tier: "gold {x}")
        for (parts, expected) in [
            (#""identifier""#, "{user:ann}:api:17"),
            (#""identifier","endpoint""#, "{user:ann}:api:17:%2Fa%3Ab"),
            (#""endpoint","identifier""#, "{user:ann}:api:17:%2Fa%3Ab"),
            (#""identifier","ip","method","tier""#, "{user:ann}:api:17:ip:192.0.2.1:GET:gold%20%7Bx%7D"),
            (#""ip""#, "{ip:192.0.2.1}:api:17"), (#""endpoint","ip""#, "{ip:192.0.2.1}:api:17:%2Fa%3Ab"),
            (#""endpoint","method""#, "{endpoint:%2Fa%3Ab}:api:17:GET"),
            (#""method""#, "{method:GET}:api:17"), (#""tier""#, "{tier:gold%20%7Bx%7D}:api:17"),
            (#""global""#, "{global}:api:17"),
        ] {
            #expect(try key(per: parts, ann) == "qm:ratelimit:" + expected)
        }
        #expect(try key(per: #""ip""#, texts.request(id: "x")) == "qm:ratelimit:{ip:unknown}:api:17")
    }

    @Test func namespacesAreSeparate() throws {
        let rule = try Samples.rule("r")
        let keys = Set([
            key(rule, texts.request(user: "192.0.2.1")), key(rule, texts.request(id: "192.0.2.1")),
            key(rule, texts.request(ip: "192.0.2.1")), key(rule, texts.request(key: "192.0.2.1")),
            key(rule, texts.request(id: "user:192.0.2.1")),
        ])
        #expect(keys.count == 5)
        #expect(!key(rule, texts.request(key: "s3cret")).contains("s3cret"))
    }

    @Test func partsCannotRunIntoEachOther() throws {
        let parts = #""identifier","endpoint","method""#
        let keys = try [("a:b", "c", ""), ("a", "b:c", ""), ("a", "b", "c"), ("a", "", "b:c"), ("a%3Ab", "c", "")].map {
            try key(per: parts, texts.request(id: $0.0, endpoint: $0.1, method: $0.2))
        }
        #expect(Set(keys).count == keys.count)
    }

    @Test(arguments: ["{x}", "}", "{", "a}:r:1", "{}", "x}{y"])
    func anIdentifierPicksNoSlot(_ identifier: String) throws {
        let key = key(try Samples.rule("r"), texts.request(id: identifier, endpoint: identifier))
        // The cluster hashes what is between the first { and the } after it.
        #expect(key.filter { $0 == "{" }.count == 1)
        #expect(key.filter { $0 == "}" }.count == 1)
        #expect(key.hasSuffix("}:r:1"))
    }

    @Test func oneClientPerAddressOrSubnet() throws {
        let rule = try Samples.rule("r")
        func key(_ ip: String) -> String { self.key(rule, texts.request(ip: ip)) }
        #expect(key("::ffff:192.0.2.1") == key("192.0.2.1"))
        #expect(key("192.0.2.2") != key("192.0.2.1"))
        #expect(key("2001:db8:1:2::1") == key("2001:db8:1:2:ffff::9"))
        #expect(key("2001:db8:1:2::1") != key("2001:db8:1:3::1"))
        let byIP = try Samples.rule("r", #""per":["ip"]"#)
        #expect(
            self.key(byIP, texts.request(user: "a", ip: "2001:db8:1:2::1"))
                == self.key(byIP, texts.request(user: "b", ip: "2001:db8:1:2:ffff::9")))
    }

    @Test func keysOfOneRequestAreBuiltTogether() throws {
        let policies = Samples.policies([
            try Samples.rule("a"), try Samples.rule("b", #""per":["global"]"#), try Samples.rule("c", #""per":["ip"]"#),
        ])
        let keys = RequestKeys()
        for user in ["ann", "a much longer name than before"] {
            let request = texts.request(user: user, ip: "192.0.2.1")
            keys.build(policies, request, KeyBuilder(prefix: "qm:"))
            #expect(keys.count == 3)
            for (i, rule) in policies.rules.enumerated() {
                #expect(keys.key(i).string == key(rule.rule, request))
                #expect(keys.keyHash(i) == KeyHash(keys.key(i)))
            }
        }
    }
}
