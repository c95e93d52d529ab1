import { server } from "./service.js";

server.listen(Number(process.env.PORT), "0.0.0.0");
