import JSON
import TestSupport
import Testing

extension Fleet {
    /// Requests to every route that are right in all but a few places. Nothing they say may end a process, be answered by
    /// an error of ours, or leave anything stuck. `QM_WALK_REQUESTS` sets how many there are.
    @Suite struct NearlyRightTests {
        @Test func nothingThatIsAskedStopsAReplica() async throws {
            let redis = try RedisServer()
            let replica = try await Replica.serve(redis, "--loops", "2")
            let worker = try await Replica(["work", "--redis", redis.workerURL])
            let random = SeededRandom()
            var walker = try Walker(replica, Mutator(random))
            for request in Walk.all {
                let answer = try walker.send(request)
                #expect((200...299).contains(answer.status) || answer.status == 409, "\(walker.said): \(answer.text)")
            }
            let most = Environment["QM_WALK_REQUESTS"].flatMap { Int($0) } ?? 4000
            for number in 0..<most {
                let request = walker.mutator.pick(Walk.all)
                let context = { "seed \(random.seed), request \(number): \(walker.said)" }
                guard let answer = try? walker.sendMutated(request) else {
                    Issue.record("no answer; \(context())\n\(replica.program.errors.suffix(2000))")
                    return
                }
                #expect(answer.status < 500 || answer.status == 503, "\(context()): \(answer.text)")
            }
            #expect(!replica.program.process.hasEnded && !worker.program.process.hasEnded, "seed \(random.seed)")
            try await allIsServed(replica)
            #expect(try await replica.program.terminate() == 0)
            #expect(try await worker.program.terminate() == 0)
            let errors = (replica.program.errors + worker.program.errors).split(separator: "\n")
            #expect(!errors.contains { $0.contains("internal") || $0.contains("\"level\":\"error\"") }, "\(errors)")
        }

        /// What belongs to nobody above is served as ever.
        private func allIsServed(_ replica: Replica) async throws {
            let check = try replica.check(#"{"identifier":"probe","endpoint":"/probe"}"#)
            #expect([200, 429].contains(check.status), "\(check.text)")
            let made = try replica.request(
                "POST", "/api/jobs", body: #"{"name":"probe","type":"simulated","queue":"probe"}"#)
            let job = try #require(made.json?["id"]?.asText, "\(made.text)")
            #expect(
                try await eventually {
                    try replica.request("GET", "/api/jobs/\(job)").json?["status"] == .string("completed")
                })
            #expect(
                try replica.request("POST", "/api/products", body: #"{"name":"p","sku":"PROBE"}"#).status == 201)
            let stock = #"{"warehouseId":"warehouse-1","type":"set","quantity":1}"#
            #expect(try replica.request("POST", "/api/inventory/PROBE/adjust", body: stock).status == 200)
            let hold = #"{"productId":"PROBE","warehouseId":"warehouse-1","quantity":1}"#
            let held = try replica.request("POST", "/api/reservations", body: hold)
            #expect(held.status == 201, "\(held.text)")
        }

        /// A route that the walk does not know would not be walked.
        @Test func everyRouteIsWalked() async throws {
            let found = try await Tool.run(
                "grep", "-rhoE", #""/api/[^"]*""#, "--include=*.swift", Tree.root + "/Sources/RateLimiting/Endpoints",
                Tree.root + "/Sources/JobScheduling/Endpoints", Tree.root + "/Sources/Inventory/Endpoints",
                Tree.root + "/Sources/Services/Audit")
            let known = Walk.all.map { $0.path.split(separator: "/") }
            for line in found.output.split(separator: "\n") {
                // What stands behind an interpolation is not known here.
                let pattern = line.dropFirst().dropLast().prefix { $0 != "\\" }.split(separator: "/")
                let isWalked = known.contains { path in
                    path.count >= pattern.count
                        && zip(path, pattern).allSatisfy { $0 == $1 || $1.hasPrefix("{") || $0.hasPrefix("<") }
                }
                #expect(isWalked, "\(line)")
            }
        }
    }
}
