import JSON
import TestSupport
import Testing

@testable import JobScheduling

struct JobListTests {
    private static func large(_ i: Int, _ bytes: Int) -> String {
        #"{"name":"j\#(i)","type":"simulated","config":{"result":"\#(String(repeating: "x", count: bytes))"}}"#
    }

    /// Follows `Link` from a first page to the last; the ids of each page. `between` is called after each page.
    private func pages(
        _ server: JobServer, _ first: String, between: ([String]) throws -> Void = { _ in }
    ) throws -> [[String]] {
        var pages: [[String]] = []
        var target: String? = first
        while let path = target, pages.count < 1000 {
            let answer = try server.send("GET", path)
            #expect(answer.status == 200, "\(answer.text)")
            pages.append((answer.json?.elements ?? []).compactMap { $0["id"]?.text })
            target = answer.header("Link").map { String($0.dropFirst().prefix { $0 != ">" }) }
            try between(pages.last ?? [])
        }
        return pages
    }

    @Test func cursorsOfOurOwnMakingAreRefused() throws {
        let server = try JobServer(works: false)
        try server.create(#"{"name":"a","type":"simulated"}"#)
        for cursor in [
            "default~ended~9223372036854775807", "default~ended~0", "default~ended~9223372036854775807~1",
            "default~ended~1~9223372036854775807", "default~ended~1~-1", "default~ended~%2b1~1", "default~ended~1~1~1",
            "Not%20a%20queue~ended~1~1", "default~nowhere~1~1", "default~events~1~1", "~~~", "x",
            "default~ended~-9223372036854775808~1",
        ] {
            let answer = try server.send("GET", "/api/jobs?cursor=\(cursor)")
            #expect(answer.status == 400 && answer.json?["field"]?.text == "cursor", "\(cursor): \(answer.text)")
        }
        #expect(try server.send("GET", "/api/dead?cursor=default~ended~1~1").status == 400)
        #expect(try server.send("GET", "/api/dead?cursor=default~dead~-999999999999999~0").status == 200)
    }

    /// A list says how large a large config is, and one job shows it.
    @Test func largeConfigsAreNotInLists() throws {
        let server = try JobServer(works: false)
        let small = try server.create(JobListTests.large(0, 100))
        let large = try server.create(JobListTests.large(1, 500_000))
        let answer = try server.send("GET", "/api/jobs")
        let listed = answer.json?.elements ?? []
        #expect(listed.count == 2 && answer.text.utf8.count < 5000)
        #expect(listed.first { $0["id"]?.text == small } == (try server.job(small)))
        let item = listed.first { $0["id"]?.text == large }
        #expect(item?["config"] == nil && item?["configBytes"]?.number == 500_013)
        #expect(try server.job(large)["config"]?["result"]?.text?.utf8.count == 500_000)
        // What a list leaves out cannot be lost by sending an element of it back.
        let put = try server.send("PUT", "/api/jobs/\(large)", item?.text())
        #expect(put.status == 400 && put.json?["field"]?.text == "configBytes")
    }

    @Test func pagesEndByBytes() throws {
        let server = try JobServer(works: false)
        var made: [String] = []
        for start in stride(from: 0, to: 1000, by: 250) {
            // Dependencies are what may be long in a list.
            let after = made.prefix(250).map { "\"\($0)\"" }.joined(separator: ",")
            made += try server.createAll(
                (start..<start + 250).map { #"{"name":"j\#($0)","type":"simulated","dependencies":[\#(after)]}"# })
        }
        let answer = try server.send("GET", "/api/jobs?limit=1000")
        #expect(answer.text.utf8.count < 2 << 20 && answer.header("Link") != nil)
        let pages = try pages(server, "/api/jobs?limit=1000")
        #expect(pages.count > 2)
        #expect(pages.joined().sorted() == made.sorted())
    }

    /// A place is by score and number: what leaves the set before it moves nothing. Up, down, and with equal scores.
    @Test(arguments: ["/api/jobs?status=pending&limit=7", "/api/jobs?status=cancelled&limit=7"])
    func nothingIsSkippedWhenOthersLeave(_ first: String) throws {
        let server = try JobServer(works: false)
        let made = try server.createAll((0..<60).map { #"{"name":"j\#($0)","type":"simulated"}"# })
        let isEnded = first.contains("cancelled")
        if isEnded { for id in made { _ = try server.send("POST", "/api/jobs/\(id)/cancel") } }
        // Of each page that was seen, all jobs leave before the next is asked for.
        let pages = try pages(server, first) { page in
            for id in page {
                let answer = try server.send("DELETE", "/api/jobs/\(id)")
                #expect(answer.status == 204)
            }
        }
        #expect(Array(pages.joined()) == (isEnded ? made.reversed() : made))
    }

    /// A list ends where it should also when its last page is full, and goes over the borders of sets and queues.
    @Test(arguments: [1, 2, 5, 6, 30]) func pagesOfAnyLengthHoldEachJobOnce(_ limit: Int) throws {
        let server = try JobServer(works: false)
        var made: [String] = []
        for queue in ["a", "b"] {
            for more in ["", #","manual":true"#, #","runAt":"2090-01-01T00:00:00Z""#, #","priority":"low""#] {
                made.append(try server.create(#"{"name":"j","type":"simulated","queue":"\#(queue)"\#(more)}"#))
            }
            made.append(try server.create(#"{"name":"j","type":"http","queue":"\#(queue)","config":{"url":"http://x"}}"#))
        }
        let ids = try pages(server, "/api/jobs?limit=\(limit)").joined()
        #expect(ids.sorted() == made.sorted())
        let ofA = try pages(server, "/api/jobs?limit=\(limit)&queue=a&type=simulated&status=pending").joined()
        #expect(ofA.sorted() == [made[0], made[2], made[3]])
    }
}
