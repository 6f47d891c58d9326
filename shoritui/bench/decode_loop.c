/* What llama.cpp does by itself: decode and sample in a loop, with nothing around it.

   decode_loop MODEL N_CTX N_BATCH N_THREADS N_GPU_LAYERS WINDOW PRESENCE MIN_P SEED
   Each line of standard input, "COUNT ID ID ...", is a prompt after which COUNT tokens are drawn;
   the answer is a line with the seconds from the first of them to the last. */
#include "llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void be_quiet(enum ggml_log_level level, const char *text, void *data) {
    (void)level, (void)text, (void)data;
}

static struct llama_sampler *chain_of(char **values, int n_vocab) {
    struct llama_sampler *chain = llama_sampler_chain_init(llama_sampler_chain_default_params());
    llama_sampler_chain_add(
        chain, llama_sampler_init_penalties(n_vocab, atoi(values[0]), 1, 0, atof(values[1])));
    llama_sampler_chain_add(chain, llama_sampler_init_min_p(atof(values[2]), 1));
    llama_sampler_chain_add(chain, llama_sampler_init_dist(atoi(values[3])));
    return chain;
}

static int evaluate(struct llama_context *context, llama_token *ids, int count, int n_batch) {
    for (int begin = 0; begin < count; begin += n_batch) {
        int size = count - begin < n_batch ? count - begin : n_batch;
        if (llama_decode(context, llama_batch_get_one(ids + begin, size))) return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    if (argc < 10) return 2;
    llama_log_set(be_quiet, NULL);
    llama_backend_init();
    struct llama_model_params model_params = llama_model_default_params();
    model_params.n_gpu_layers = atoi(argv[5]);
    if (strstr(llama_print_system_info(), "AMX_INT8 = 1"))
        model_params.use_extra_bufts = false; /* host/amx.py says why; the engine does the same */
    struct llama_model *model = llama_model_load_from_file(argv[1], model_params);
    struct llama_context_params params = llama_context_default_params();
    int n_batch = atoi(argv[3]);
    params.n_ctx = atoi(argv[2]);
    params.n_batch = params.n_ubatch = n_batch;
    params.n_threads = params.n_threads_batch = atoi(argv[4]);
    struct llama_context *context = model ? llama_init_from_model(model, params) : NULL;
    if (!context) return 1;
    int n_vocab = llama_vocab_n_tokens(llama_model_get_vocab(model));
    struct llama_sampler *chain = chain_of(argv + 6, n_vocab);

    llama_token *prompt = malloc(params.n_ctx * sizeof *prompt);
    for (int count; scanf("%d", &count) == 1;) {
        int length = 0;
        while (getchar() == ' ' && length < (int)params.n_ctx) {
            if (scanf("%d", &prompt[length++]) != 1) return 2;
        }
        llama_memory_clear(llama_get_memory(context), true);
        llama_sampler_reset(chain);
        if (evaluate(context, prompt, length, n_batch)) return 1;
        llama_token token = llama_sampler_sample(chain, context, -1);
        double began = now();
        for (int i = 1; i < count; i++) {
            if (llama_decode(context, llama_batch_get_one(&token, 1))) return 1;
            token = llama_sampler_sample(chain, context, -1);
        }
        printf("%.9f\n", now() - began);
        fflush(stdout);
    }
    return 0;
}
