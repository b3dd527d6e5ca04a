import Bytes
import TestSupport
import Testing

@testable import Redis

@Suite struct SlotMapTests {
    /// Redis's own word, over tags, halves of tags and empty ones.
    @Test func slotsAreRedisSlots() throws {
        var random = SeededRandom(seed: 7)
        var keys = [
            "", "{}", "{}a", "a{b}c", "a{b}{c}", "{{a}}", "a}b{c", "a{", "qm:jobs:{default}:ready", "123456789",
        ]
        for _ in 0..<300 {
            let letters = (0..<Int.random(in: 1...20, using: &random)).map { _ in
                "ab{}:ü".randomElement(using: &random)!
            }
            keys.append(String(letters))
        }
        // The specification's own example.
        #expect(RedisSlot.of("123456789") == 0x31C3 & 0x3FFF)
        #expect(RedisSlot.of("a{b}c") == RedisSlot.of("b"))
        #expect(RedisSlot.of("{{a}}") == RedisSlot.of("{a"))
        #expect(RedisSlot.of("{}a") != RedisSlot.of("a"))
        // The standard port of its bus lies where the system gives ports to connections.
        let cluster = ["--cluster-enabled", "yes", "--cluster-port", String(try freePort())]
        let server = try RedisServer(options: .init(arguments: cluster, listensOnTCP: true))
        let redis = try server.connect()
        for key in keys {
            #expect(try redis("CLUSTER", "KEYSLOT", key) == .integer(RedisSlot.of(key)), "\(key)")
        }
    }

    private static func line(
        _ id: String, _ place: String, _ flags: String, epoch: Int, _ slots: String = ""
    ) -> String { "\(id) \(place) \(flags) - 0 0 \(epoch) connected \(slots)\n" }

    private func learn(_ map: inout SlotMap, _ text: String, answering: String) -> Bool {
        map.learn(text, answering: answering)
    }

    private static let a = RedisConfiguration.Address.tcp(host: "10.0.0.1", port: 7000)
    private static let b = RedisConfiguration.Address.tcp(host: "10.0.0.2", port: 7000)

    @Test func learnsRangesSingleSlotsAndWhoIsAMaster() {
        var map = SlotMap()
        let text =
            Self.line("1", "10.0.0.1:7000@17000", "myself,master", epoch: 1, "0-5460 9000 [9001->-abc]")
            + Self.line("2", "10.0.0.2:7000@17000,name", "master", epoch: 2, "5461-8999 9001-16383")
            + Self.line("3", "10.0.0.3:7000@17000", "slave", epoch: 1)
            + Self.line("4", "10.0.0.4:7000@17000", "master,fail", epoch: 4)
            + Self.line("5", "::1:7001@17001", "master", epoch: 5)
        let isNews = learn(&map, text, answering: "10.0.0.1")
        #expect(isNews)
        #expect(map.isComplete)
        #expect(map.owner(ofSlot: 9000).map { map.addresses[$0] } == Self.a)
        #expect(map.owner(ofSlot: 9001).map { map.addresses[$0] } == Self.b)
        let masters = Set(map.masters.map { "\(map.addresses[$0])" })
        #expect(masters == ["10.0.0.1:7000", "10.0.0.2:7000", "[::1]:7001"])
        let isNewsAgain = learn(&map, text, answering: "10.0.0.1")
        #expect(!isNewsAgain)
    }

    @Test func aNodeThatWasAwayUndoesNothing() {
        var map = SlotMap()
        let before = Self.line("1", "10.0.0.1:7000@1", "master", epoch: 3, "0-16383")
        let after = Self.line("2", "10.0.0.2:7000@1", "master", epoch: 7, "0-16383")
        _ = map.learn(before, answering: "")
        let isNews = learn(&map, after, answering: "")
        #expect(isNews)
        _ = map.learn(before, answering: "")
        #expect(map.owner(ofSlot: 12).map { map.addresses[$0] } == Self.b)
    }

    @Test func aNodeThatHasANameIsTheSameUnderBoth() {
        var map = SlotMap()
        _ = map.learn(Self.line("1", "10.0.0.1:7000@1,one.example", "master", epoch: 1, "0-16383"), answering: "")
        let number = map.move(slot: 7, to: .tcp(host: "one.example", port: 7000))
        #expect(map.owner(ofSlot: 0) == number)
        #expect(map.masters == [number])
    }

    @Test func aNodeThatDoesNotKnowItsOwnNameIsTheOneThatAnswers() {
        var map = SlotMap()
        _ = map.learn(Self.line("1", ":7000@17000", "myself,master", epoch: 1, "0-16383"), answering: "10.0.0.1")
        #expect(map.owner(ofSlot: 0).map { map.addresses[$0] } == Self.a)
    }

    @Test(arguments: [
        ("MOVED 3999 10.0.0.1:7000", Redirection.moved(slot: 3999, to: a)),
        ("MOVED 3999 :7000", .moved(slot: 3999, to: .tcp(host: "me", port: 7000))),
        ("ASK 1 10.0.0.2:7000", .ask(to: b)),
        ("TRYAGAIN Multiple keys request during rehashing of slot", .later),
        ("CLUSTERDOWN Hash slot not served", .later), ("LOADING Redis is loading", .later),
        ("READONLY You can't write against a read only replica. script: x, on @user_script:3.", .later),
        ("MASTERDOWN Link with MASTER is down", .later),
        ("MOVED 99999 10.0.0.1:7000", nil), ("MOVED", nil), ("ERR no", nil), ("MISCONF", nil), ("", nil),
    ])
    func redirectionsAreToldFromErrors(_ text: String, _ expected: Redirection?) {
        #expect(text.withByteView { Redirection($0, answering: "me") } == expected)
        let isElsewhere = text.withByteView { RedisError(reply: $0) }.isElsewhere
        if expected != nil { #expect(isElsewhere) }
    }
}
