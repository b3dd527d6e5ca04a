import EventLoops
import Testing

@testable import LoadTest

struct CommandTests {
    private func parse(_ line: String) throws(UsageError) -> Command {
        try Command.parse(line.split(separator: " ").map(String.init))
    }

    private func refusal(_ line: String) -> String? {
        do throws(UsageError) {
            _ = try parse(line)
            return nil
        } catch {
            return error.description
        }
    }

    @Test func readsARun() throws {
        let line =
            "run --url http://127.0.0.1:8080 --workload check-hot --connections 8 --duration 0.5 --rate 100 --pipeline 4"
            + " --keys 5 --seed 9 --json --server-pid 12 --redis-pid 13 --warm-up 0 --requests 77 --label l --path /x"
        guard case .run(let options) = try parse(line) else { throw UsageError(description: "no run") }
        #expect(options.target.address == .tcp(host: "127.0.0.1", port: 8080))
        #expect(options.target.host == "127.0.0.1:8080")
        #expect(options.workload == .checkHot)
        #expect(options.connections == 8)
        #expect(options.durationUs == 500_000)
        #expect(options.warmUpUs == 0)
        #expect(options.rate == 100)
        #expect(options.pipeline == 4)
        #expect(options.keys == 5)
        #expect(options.seed == 9)
        #expect(options.maxRequests == 77)
        #expect(options.printsJSON)
        #expect(options.serverPID == 12)
        #expect(options.redisPID == 13)
        #expect(options.label == "l")
        #expect(options.path == "/x")
    }

    @Test(arguments: [
        ("fly", "fly is no command"),
        ("run --workload health", "--url is missing"),
        ("run --url http://127.0.0.1:1", "--workload"),
        ("run --url http://127.0.0.1:1 --workload nap", "nap is no workload"),
        ("run --url http://127.0.0.1:1 --workload health --connections 0", "--connections is an integer from 1"),
        ("run --url http://127.0.0.1:1 --workload health --duration 601", "--duration is a number of seconds"),
        ("run --url http://127.0.0.1:1 --workload health --duration nan", "--duration is a number of seconds"),
        ("run --url http://127.0.0.1:1 --workload health --speed 9", "--speed is no option"),
        ("run --url http://127.0.0.1:1 --workload health --rate", "--rate needs a value"),
        ("run --url http://127.0.0.1:1 --workload health --rate 1 --rate 2", "--rate is given twice"),
        ("run --url http://127.0.0.1:1 --workload health more", "more is not expected"),
        ("run --url http://127.0.0.1:1 --workload plain --path x", "--path begins with /"),
        ("table", "table needs at least one file"),
        ("setup --url http://127.0.0.1:1 --keys 3", "--keys is no option"),
    ])
    func refusesByName(_ line: String, _ words: String) {
        #expect(refusal(line)?.contains(words) == true, "\(refusal(line) ?? "accepted")")
    }

    @Test(arguments: ["http://127.0.0.1:80", "http://127.9.8.7:80/", "http://localhost:80", "http://[::1]:80"])
    func loopbackIsAccepted(_ url: String) {
        #expect(Target(url: url) != nil)
    }

    @Test(arguments: [
        "http://192.0.2.1:80", "http://example.com:80", "https://127.0.0.1:80", "http://127.0.0.1",
        "http://127.0.0.1:0",
        "http://127.0.0.1:65536", "http://127.0.0.1.example.com:80", "http://127.0.0.256:80", "http://[::]:80",
        "http://0.0.0.0:80", "http://127.0.0.1:80/path", "http://user@127.0.0.1:80", "http://127.0.0:80", "",
    ])
    func everythingElseIsRefused(_ url: String) {
        #expect(Target(url: url) == nil)
    }
}
