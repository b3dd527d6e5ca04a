import JSON
import Services
import Testing

@testable import RateLimiting

/// What a list of identifiers may say: what was meant as an address must not be taken for a name.
struct IdentifierTextTests {
    @Test(arguments: [
        "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "10/8", "300.1.1.1", "10.0.0.300", "1.2.3", "192.168.1.*", "192.168.*",
        "10.0.0.x", "10.0.0.1-10.0.0.9", "2001:db8::/129", "2001:db8::g/32", "::1/x", "2001:db8:/32", "ip:ann",
        "ip:10.0.0.0/99", "ip:", "user:", "*", "user:*", "key:sk_*", "IP:10.0.0.1", "User:ann",
    ])
    func refuses(_ text: String) throws {
        #expect(IdentifierText.problem(text) != nil)
        let problem = #expect(throws: Problem.self) {
            try Samples.draft("{\"action\":\"deny\",\"match\":{\"identifier\":[\"ann\",\"\(text)\"]}}")
        }
        #expect(problem?.field == "match.identifier[1]")
        let single = #expect(throws: Problem.self) {
            try Samples.draft("{\"action\":\"deny\",\"match\":{\"identifier\":\"\(text)\"}}")
        }
        #expect(single?.field == "match.identifier")
    }

    @Test(arguments: [
        "ann", "ann@example.net", "42", "00:11:22:33:44:55", "team/backend", "a-b", "v1.2-rc", "cafe", "12-34",
        "10.0.0.1", "10.0.0.0/8", "::1", "2001:db8::/32", "ip:10.0.0.0/8", "ip:2001:db8::1", "user:10.0.0.300",
        "id:1.2.3", "id:10/8", "key:s3cret", "a::b", "example.com", "4a9c2f00-1111-2222-3333-444455556666",
    ])
    func takes(_ text: String) throws {
        #expect(IdentifierText.problem(text) == nil)
        _ = try Samples.draft("{\"action\":\"deny\",\"match\":{\"identifier\":\"\(text)\"}}")
    }

    /// What an earlier version stored still binds.
    @Test func storedRulesAreReadAsTheyAre() throws {
        let json = """
            {"id":"r","version":1,"generation":1,"name":"r","strategy":"fixed_window","limit":1,"window":250,
            "match":{"identifier":["10.0.0.0/33"],"endpoint":"/a?b"}}
            """
        let rule = try Rule(stored: try json.withByteView { try JSONValue(parsing: $0) })
        #expect(rule.strategy?.windowMs == 250 && rule.match.identifiers == ["10.0.0.0/33"])
        // And says a window below a second so that it can be sent back.
        guard case .object(let members) = rule.json else { return }
        #expect(members.first { $0.key == "window" }?.value == .string("250ms"))
    }
}
