import Glibc
import JSON
import TestSupport
import Testing

/// The commands that ask a running service about stock: what they print, plain and as JSON, and how they end.
extension Fleet {
    @Suite(.serialized) struct StockCommandTests {
        private func replica() async throws -> Replica {
            let redis = try RedisServer.shared
            let replica = try await Replica.serve(redis, "--loops", "1", "--prefix", redis.prefix())
            for sku in ["A", "B"] {
                let body = #"{"name":"Thing \#(sku)","sku":"\#(sku)","minStockLevel":0}"#
                #expect(try replica.request("POST", "/api/products", body: body).status == 201)
            }
            return replica
        }

        /// Runs a command that must succeed; its output.
        private func run(_ replica: Replica, _ arguments: String...) async throws -> String {
            let program = try Program(["stock"] + arguments, environment: ["QM_URL": replica.url])
            let code = try await program.exitCode()
            guard code == 0 else { throw SetUpFailure("\(arguments) ended with \(code): \(program.errors)") }
            return program.output
        }

        /// Runs a command that must not; its exit code and standard error.
        private func fail(_ replica: Replica, _ arguments: String...) async throws -> (code: Int, errors: String) {
            let program = try Program(["stock"] + arguments, environment: ["QM_URL": replica.url])
            return (try await program.exitCode(), program.errors)
        }

        private func json(_ text: String) throws -> JSONValue {
            try #require(text.withByteView { try? JSONValue(parsing: $0) }, "\(text)")
        }

        private func rows(_ table: String) -> [[Substring]] {
            table.split(separator: "\n").map { $0.split(separator: " ") }
        }

        @Test func stockIsAdjustedHeldAndTaken() async throws {
            let replica = try await replica()
            let added = try await run(
                replica, "adjust", "A", "--warehouse", "warehouse-1", "--type", "add", "--quantity", "10", "--reason",
                "delivery")
            #expect(rows(added)[1] == ["warehouse-1", "10", "0", "10", "0"], "\(added)")
            let id = try await run(
                replica, "reserve", "A", "--warehouse", "warehouse-1", "--quantity", "4", "--order", "o-1", "--for",
                "5m"
            ).dropLast()
            #expect(id.hasPrefix("A~"))
            let shown = try await run(replica, "show", "A")
            #expect(rows(shown)[0] == ["A", "Thing", "A"] && rows(shown)[1].first == "WAREHOUSE", "\(shown)")
            #expect(rows(shown)[2].suffix(4) == ["10", "4", "6", "0"] && rows(shown)[5] == ["total", "10", "4", "6"])
            let one = try json(try await run(replica, "show", "A", "--warehouse", "warehouse-1", "--json"))
            #expect(one["reserved"] == .int(4))
            #expect(try await run(replica, "confirm", String(id), "--quantity", "3") == "\(id) is confirmed\n")
            #expect(
                rows(try await run(replica, "show", "A", "--warehouse", "warehouse-1"))[1].suffix(4) == [
                    "7", "0", "7", "0",
                ])
            let next = try await run(replica, "reserve", "A", "--allocation", "any", "--quantity", "1").dropLast()
            #expect(try await run(replica, "cancel", String(next)) == "\(next) is cancelled\n")
            let late = try await fail(replica, "confirm", String(next))
            #expect(late.code == 1 && late.errors.contains("cancelled"))
            let much = try await fail(replica, "reserve", "A", "--warehouse", "warehouse-1", "--quantity", "8")
            #expect(much.code == 1 && much.errors.contains("Insufficient"))
        }

        @Test func oneKeyAdjustsOnce() async throws {
            let replica = try await replica()
            for _ in 0..<2 {
                _ = try await run(
                    replica, "adjust", "A", "--warehouse", "warehouse-1", "--type", "add", "--quantity", "2",
                    "--idempotency-key", "k")
            }
            let shown = try json(try await run(replica, "show", "A", "--json"))
            #expect(shown["totals"]?["totalQuantity"] == .int(2))
        }

        @Test func stockMovesAndAlerts() async throws {
            let replica = try await replica()
            _ = try await run(
                replica, "adjust", "A", "--warehouse", "warehouse-1", "--type", "set", "--quantity", "5")
            let moved = try await run(
                replica, "transfer", "A", "--from", "warehouse-1", "--to", "warehouse-2", "--quantity", "5")
            #expect(moved.hasPrefix("A~") && moved.hasSuffix(" is pending\n"), "\(moved)")
            #expect(
                try await eventually {
                    let table = rows(try await run(replica, "alerts", "--level", "emergency"))
                    return table.count == 2 && table[1].contains("emergency") && table[1].contains("warehouse-1")
                })
            #expect(try json(try await run(replica, "alerts", "--warehouse", "warehouse-3", "--json")) == .array([]))
        }

        @Test func everyChangeIsInTheLedger() async throws {
            let replica = try await replica()
            for type in ["add", "subtract"] {
                _ = try await run(
                    replica, "adjust", "A", "--warehouse", "warehouse-1", "--type", type, "--quantity", "2", "--reason",
                    "count")
            }
            let table = rows(try await run(replica, "ledger", "A"))
            #expect(table.count == 3 && Set(table.dropFirst().map { $0[3] }) == ["+2", "-2"], "\(table)")
            #expect(table.dropFirst().allSatisfy { $0[1] == "adjust" && $0.contains("count") }, "\(table)")
            #expect(try await run(replica, "reconcile") == "2 products compared, 0 differ\n")
            let report = try json(try await run(replica, "reconcile", "--sku", "A", "--json"))
            #expect(report["checked"] == .int(1) && report["drift"] == .array([]))
        }

        @Test func filesGoOutAndIn() async throws {
            let replica = try await replica()
            let folder = try TemporaryFolder()
            try Tree.write(
                "sku,warehouseId,quantity\nA,warehouse-1,5\nB,warehouse-2,7\n", to: folder.path + "/stock.csv")
            #expect(
                rows(try await run(replica, "import", folder.path + "/stock.csv")) == [
                    ["successful", "2"], ["failed", "0"],
                ])
            let stock = try await run(replica, "export", "--warehouse", "warehouse-2")
            #expect(
                stock.split(separator: "\r\n").map { $0.hasSuffix(",warehouse-2,7,0,7,0") } == [false, false, true])
            let products = try await run(replica, "export", "--products", "--json")
            try Tree.write(products + #"{"sku":"C","name":"Thing C"}"# + "\n", to: folder.path + "/products.ndjson")
            let imported = try json(
                try await run(replica, "import", folder.path + "/products.ndjson", "--products", "--json"))
            #expect(imported["created"] == .int(1) && imported["unchanged"] == .int(2))
            try Tree.write("sku,warehouseId,quantity\nA,warehouse-1,x\n", to: folder.path + "/stock.csv")
            let wrong = try Program(
                ["stock", "import", folder.path + "/stock.csv"], environment: ["QM_URL": replica.url])
            #expect(try await wrong.exitCode() == 1)
            #expect(rows(wrong.output).last?.prefix(2) == ["2", "quantity"] && wrong.errors.contains("not taken"))
            let missing = try await fail(replica, "import", folder.path + "/none.csv")
            #expect(missing.code == 1 && missing.errors.contains("none.csv"))
        }

        @Test func refusalsAreToldInTheServicesWords() async throws {
            let replica = try await replica()
            let unknown = try await fail(replica, "show", "a/b c")
            #expect(unknown.code == 1 && unknown.errors == "quartermaster: there is no product a/b c\n")
            let wrong = try await fail(
                replica, "adjust", "A", "--warehouse", "warehouse-1", "--type", "add", "--quantity", "-5")
            #expect(wrong.code == 1 && wrong.errors.contains("quantity must be from 1"))
        }

        @Test(arguments: [
            (["stock"], "stock show SKU"), (["stock", "show"], "stock show SKU"), (["stock", "x"], "stock show SKU"),
            (["stock", "adjust", "A"], "--warehouse"), (["stock", "reserve", "A"], "--quantity"),
            (["stock", "reserve", "A", "--quantity", "x"], "--quantity"), (["stock", "transfer", "A"], "--from"),
            (["stock", "reserve", "A", "--quantity", "1", "--for", "soon"], "--for"),
            (["stock", "export", "A"], "stock show SKU"), (["stock", "show", "A", "--limit", "1"], "--limit"),
        ])
        func aWrongCommandLineIs64(_ arguments: [String], _ named: String) async throws {
            let program = try Program(arguments)
            #expect(try await program.exitCode() == 64)
            #expect(program.errors.contains(named), "\(program.errors)")
            #expect(program.output.isEmpty)
        }
    }
}
