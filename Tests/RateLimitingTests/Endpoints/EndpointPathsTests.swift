import Bytes
import Services
import Testing

@testable import RateLimiting

struct EndpointPathsTests {
    private let paths = EndpointPaths()
    private let arena = ByteArena()

    private func written(_ target: String) throws -> String {
        try target.withByteView { try paths.normalize($0, field: "endpoint", in: arena).written.string }
    }

    @Test(arguments: [
        ("/a/b", "/a/b"), ("/", "/"), ("/a/b?x=1&y=/..", "/a/b"), ("/a#b", "/a"), ("/a?b#c", "/a"), ("/a#b?c", "/a"),
        ("?x", "/"), ("", "/"),
        // Absolute URIs, whatever their scheme and its case.
        ("http://host/a/b?c", "/a/b"), ("https://host:8443/a", "/a"), ("HTTP://host/a", "/a"), ("http://host", "/"),
        ("http://host?x", "/"), ("coap+tcp://host/a", "/a"), ("/http://host/a", "/http:/host/a"),
        // Percent-decoding, once.
        ("/%61/b", "/a/b"), ("/%2561", "/%61"), ("/a%2Fb", "/a/b"), ("/a%2fb", "/a/b"), ("/%C3%A9", "/é"),
        ("/a%", "/a%"), ("/a%2", "/a%2"), ("/a%zz", "/a%zz"), ("/%41%", "/A%"), ("/a%3Fb", "/a?b"), ("/a%23b", "/a#b"),
        // Dot segments (RFC 3986, 5.2.4), written out or escaped.
        ("/a/b/c/./../../g", "/a/g"), ("/a/./b", "/a/b"), ("/a/../b", "/b"), ("/../a", "/a"), ("/a/..", "/"),
        ("/a/b/..", "/a/"), ("/a/.", "/a/"), ("/.", "/"), ("/..", "/"), ("/...", "/..."), ("/.a", "/.a"),
        ("/a/..b", "/a/..b"), ("/a/b..", "/a/b.."), ("/a/%62/../c", "/a/c"), ("/a/%2e%2e/b", "/b"), ("/%2E/a", "/a"),
        ("/a%2F..%2Fb", "/b"), ("//..", "/"), ("/a/../../../b", "/b"),
        ("/a/%252e%252e/b", "/a/%2e%2e/b"), ("/.well-known/x", "/.well-known/x"),
        // Adjacent slashes are one, before dot segments are looked at: as nginx has it.
        ("//a", "/a"), ("/a//b", "/a/b"), ("/a///b//", "/a/b/"), ("//", "/"), ("/a//../b", "/b"), ("/a/%2F/b", "/a/b"),
    ])
    func normalizes(_ target: String, _ expected: String) throws {
        #expect(try written(target) == expected)
    }

    /// A normalized path without escapes stays as it is, and never has a dot segment left.
    @Test(arguments: Array(1...5) as [UInt64])
    func endsWhereNothingIsLeftToDo(_ seed: UInt64) throws {
        var random = SplitMix64(seed)
        let parts = ["a", ".", "..", "", "%2e", "%2E.", "b.c", "...", "%61"]
        for _ in 0..<2000 {
            let target = "/" + (0..<random.below(8)).map { _ in random.element(parts) }.joined(separator: "/")
            let once = try written(target)
            let again = try written(once)
            #expect(once == again, "seed \(seed), \(target)")
            #expect(once.hasPrefix("/"))
            #expect(!once.split(separator: "/").contains { $0 == "." || $0 == ".." }, "seed \(seed), \(target)")
        }
    }

    @Test func hasABound() throws {
        let longest = "/" + String(repeating: "a", count: 8191)
        #expect(try written(longest + "?" + longest).utf8.count == 8192)
        #expect(throws: Problem.self) { try written(longest + "a") }
    }

    /// What frameworks take for the same path is folded into one; names that are no paths stay as they are.
    @Test(arguments: [
        ("/a/B", "/a/b"), ("/a/", "/a"), ("/A%2F/", "/a"), ("/", "/"), ("//", "/"), ("/a", "/a"), ("/É/", "/É"),
        ("Send-Mail", "Send-Mail"), ("a/", "a/"), ("a?b", "a?b"), ("HTTP://h/A/?x", "/a"),
    ])
    func folds(_ text: String, _ expected: String) throws {
        let folded = try text.withByteView {
            try paths.endpoint($0, field: "endpoint", in: arena).folded.string
        }
        #expect(folded == expected)
    }
}
